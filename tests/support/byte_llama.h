// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/safetensors_writer.h"
#include "capture/tokenizer/byte_alphabet.h"
#include "tests/support/temporary_folder.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace kvloupe {

struct ByteLlamaOptions {
    std::int64_t context = 4096;
    unsigned seed = 1;
    std::int64_t headDim = 8;
    /// A Gemma 3 instead: the first layer sees `window` tokens and has a RoPE of its own, norms on queries, keys and
    /// what layers give, scaled embeddings.
    bool gemma = false;
    std::int64_t window = 24;
};

/// Writes a llama of random weights that reads and writes any text, a byte a token (token 256 ends the text): 2 layers,
/// 4 query heads over 2 KV heads.
inline std::filesystem::path writeByteLlama(const TemporaryFolder& folder, const ByteLlamaOptions& options = {})
{
    constexpr std::int64_t vocabulary = 257;
    constexpr std::int64_t hidden = 32;
    constexpr std::int64_t intermediate = 48;
    const std::int64_t headDim = options.headDim;
    constexpr std::int64_t heads = 4;
    constexpr std::int64_t kvHeads = 2;
    constexpr int layers = 2;
    using Json = nlohmann::json;

    Json config{{"architectures", {"LlamaForCausalLM"}}, {"model_type", "llama"}, {"num_hidden_layers", layers},
        {"num_attention_heads", heads}, {"num_key_value_heads", kvHeads}, {"head_dim", headDim},
        {"hidden_size", hidden}, {"intermediate_size", intermediate}, {"vocab_size", vocabulary},
        {"max_position_embeddings", options.context}, {"rms_norm_eps", 1e-5}, {"rope_theta", 10000.0},
        {"hidden_act", "silu"}, {"tie_word_embeddings", false}, {"eos_token_id", vocabulary - 1}};
    if (options.gemma) {
        config.update({{"architectures", {"Gemma3ForCausalLM"}}, {"model_type", "gemma3_text"},
            {"hidden_activation", "gelu_pytorch_tanh"}, {"query_pre_attn_scalar", headDim},
            {"rope_local_base_freq", 1000.0}, {"sliding_window", options.window},
            {"layer_types", {"sliding_attention", "full_attention"}}});
    }
    folder.write("config.json", config.dump());

    Json symbols = Json::object();
    for (int byte = 0; byte < 256; ++byte)
        symbols[byteToSymbol(static_cast<unsigned char>(byte))] = byte;
    const Json byteLevel{
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
    folder.write("tokenizer.json",
        Json{{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"normalizer", nullptr},
            {"added_tokens",
                {{{"id", vocabulary - 1}, {"content", "<end>"}, {"single_word", false}, {"lstrip", false},
                    {"rstrip", false}, {"normalized", false}, {"special", true}}}},
            {"pre_tokenizer", byteLevel}, {"post_processor", byteLevel}, {"decoder", byteLevel},
            {"model",
                {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", nullptr}, {"continuing_subword_prefix", nullptr},
                    {"end_of_word_suffix", nullptr}, {"fuse_unk", false}, {"byte_fallback", false},
                    {"ignore_merges", false}, {"vocab", symbols}, {"merges", Json::array()}}}}
            .dump());

    std::mt19937 random(options.seed);
    std::vector<std::string> names;
    std::vector<std::vector<std::int64_t>> shapes;
    std::vector<std::vector<float>> values;
    const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
        const bool gain = shape.size() == 1;
        std::normal_distribution<float> distribution(gain ? 1.0F : 0.0F, gain ? 0.1F : 0.3F);
        std::vector<float>& tensor = values.emplace_back(static_cast<std::size_t>(shape[0] * (gain ? 1 : shape[1])));
        for (float& value : tensor)
            value = distribution(random);
        names.push_back(name);
        shapes.push_back(std::move(shape));
    };
    add("model.embed_tokens.weight", {vocabulary, hidden});
    for (int layer = 0; layer < layers; ++layer) {
        const std::string prefix = "model.layers." + std::to_string(layer) + ".";
        add(prefix + "input_layernorm.weight", {hidden});
        add(prefix + "self_attn.q_proj.weight", {heads * headDim, hidden});
        add(prefix + "self_attn.k_proj.weight", {kvHeads * headDim, hidden});
        add(prefix + "self_attn.v_proj.weight", {kvHeads * headDim, hidden});
        add(prefix + "self_attn.o_proj.weight", {hidden, heads * headDim});
        add(prefix + "post_attention_layernorm.weight", {hidden});
        if (options.gemma) {
            add(prefix + "self_attn.q_norm.weight", {headDim});
            add(prefix + "self_attn.k_norm.weight", {headDim});
            add(prefix + "pre_feedforward_layernorm.weight", {hidden});
            add(prefix + "post_feedforward_layernorm.weight", {hidden});
        }
        add(prefix + "mlp.gate_proj.weight", {intermediate, hidden});
        add(prefix + "mlp.up_proj.weight", {intermediate, hidden});
        add(prefix + "mlp.down_proj.weight", {hidden, intermediate});
    }
    add("model.norm.weight", {hidden});
    add("lm_head.weight", {vocabulary, hidden});
    std::vector<SafetensorsEntry> tensors;
    for (std::size_t i = 0; i < names.size(); ++i)
        tensors.push_back({names[i], "F32", shapes[i], std::as_bytes(std::span(values[i]))});
    writeSafetensors(folder.path() / "model.safetensors", tensors);
    return folder.path();
}

} // namespace kvloupe
