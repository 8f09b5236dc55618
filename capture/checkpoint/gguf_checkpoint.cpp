// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/gguf_checkpoint.h"

#include "capture/checkpoint/architecture.h"
#include "capture/checkpoint/sha256.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace kvloupe {

namespace {

using NamePair = std::pair<std::string_view, std::string_view>;

constexpr std::array<NamePair, 3> modelNames
    = {{{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}}};

constexpr std::array<NamePair, 12> layerNames
    = {{{"attn_norm", "input_layernorm"}, {"ffn_norm", "post_attention_layernorm"}, {"attn_q", "self_attn.q_proj"},
        {"attn_k", "self_attn.k_proj"}, {"attn_v", "self_attn.v_proj"}, {"attn_qkv", "self_attn.qkv_proj"},
        {"attn_output", "self_attn.o_proj"}, {"attn_q_norm", "self_attn.q_norm"}, {"attn_k_norm", "self_attn.k_norm"},
        {"ffn_gate", "mlp.gate_proj"}, {"ffn_up", "mlp.up_proj"}, {"ffn_down", "mlp.down_proj"}}};
/// Where outputs are normalised, Hugging Face's post_attention_layernorm is that of attention's output.
constexpr std::array<NamePair, 3> outputNormNames = {{{"post_attention_norm", "post_attention_layernorm"},
    {"ffn_norm", "pre_feedforward_layernorm"}, {"post_ffw_norm", "post_feedforward_layernorm"}}};
constexpr std::array<NamePair, 1> fusedNames = {{{"ffn_up", "mlp.gate_up_proj"}}};

std::string_view lookUp(std::span<const NamePair> names, std::string_view name)
{
    const auto found = std::ranges::find(names, name, &NamePair::first);
    return found == names.end() ? std::string_view{} : found->second;
}

std::string_view layerName(const Architecture& architecture, std::string_view name)
{
    std::string_view known;
    if (architecture.outputNorms)
        known = lookUp(outputNormNames, name);
    if (architecture.fusedProjections && known.empty())
        known = lookUp(fusedNames, name);
    return known.empty() ? lookUp(layerNames, name) : known;
}

} // namespace

std::string huggingFaceName(const Architecture& architecture, std::string_view name)
{
    const std::size_t dot = name.rfind('.');
    if (dot == std::string_view::npos)
        return std::string(name);
    const std::string_view suffix = name.substr(dot); // ".weight" or ".bias"
    const std::string_view stem = name.substr(0, dot);
    if (const auto known = lookUp(modelNames, stem); !known.empty())
        return fmt::format("{}{}", known, suffix);
    const std::size_t second = stem.find('.', 4);
    if (!stem.starts_with("blk.") || second == std::string_view::npos)
        return std::string(name);
    const std::string_view layer = stem.substr(4, second - 4);
    const auto known = layerName(architecture, stem.substr(second + 1));
    return known.empty() ? std::string(name) : fmt::format("model.layers.{}.{}{}", layer, known, suffix);
}

GgufCheckpoint::GgufCheckpoint(const std::filesystem::path& path)
    : Checkpoint(path)
    , m_file(path)
{
    ModelConfig config = configFromGguf(m_file);
    const Architecture& architecture = *findArchitecture(config.architecture);
    m_isPermuted = architecture.ggufPermuted;
    std::vector<TensorInfo> tensors;
    std::vector<std::span<const std::byte>> storage;
    for (const GgufTensor& tensor : m_file.tensors()) {
        TensorInfo info;
        info.name = huggingFaceName(architecture, tensor.name);
        info.shape.assign(tensor.dimensions.rbegin(), tensor.dimensions.rend());
        const auto type = dataTypeOfGgml(tensor.type);
        if (!type)
            throw m_file.error(fmt::format("tensor {}", inQuotes(tensor.name)),
                fmt::format("type {} is not supported (supported: {})", ggmlTypeName(tensor.type), dataTypeNames()));
        info.type = *type;
        tensors.push_back(std::move(info));
        storage.push_back(tensor.bytes);
    }
    adopt(std::move(config), std::move(tensors), std::move(storage));
}

std::string GgufCheckpoint::sha256() const
{
    return sha256OfMapping(m_file.bytes());
}

std::string GgufCheckpoint::chatTemplate() const
{
    return std::string(m_file.findString("tokenizer.chat_template").value_or(""));
}

std::string GgufCheckpoint::format() const
{
    return fmt::format("GGUF v{}", m_file.version());
}

bool GgufCheckpoint::isPermuted(const TensorInfo& tensor) const
{
    return m_isPermuted
        && (tensor.name.find(".self_attn.q_proj.") != std::string::npos
            || tensor.name.find(".self_attn.k_proj.") != std::string::npos);
}

// llama.cpp's convert_hf_to_gguf.py, LlamaModel.permute: within a head, Hugging Face's first and second half become the
// even and the odd rows.
std::int64_t GgufCheckpoint::storedRow(const TensorInfo&, std::int64_t row) const
{
    const std::int64_t dim = config().headDim;
    const std::int64_t inHead = row % dim;
    return row - inHead + 2 * (inHead % (dim / 2)) + inHead / (dim / 2);
}

} // namespace kvloupe
