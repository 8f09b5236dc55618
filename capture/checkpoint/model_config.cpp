// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/model_config.h"

#include "capture/checkpoint/architecture.h"

#include <fmt/format.h>

namespace kvloupe {

const RopeVariant& ModelConfig::rope(int layer) const
{
    return ropes.at(static_cast<std::size_t>(layers.at(static_cast<std::size_t>(layer)).rope));
}

std::string ModelConfig::growthProblem(std::int64_t tokensBefore, std::int64_t tokensAfter) const
{
    for (const RopeVariant& rope : ropes)
        if (rope.switchesBetween(tokensBefore, tokensAfter))
            return fmt::format(
                "a text of {} tokens cannot grow to {}: beyond {} LongRoPE uses other frequencies, and all "
                "of it would have to be computed anew; give a longer prompt, or generate less",
                tokensBefore, tokensAfter, rope.originalContext);
    return {};
}

std::int64_t ModelConfig::window(int layer) const
{
    return layers.at(static_cast<std::size_t>(layer)).window;
}

std::vector<std::string_view> knownArchitectures()
{
    std::vector<std::string_view> names;
    for (const Architecture& architecture : architectures())
        names.push_back(architecture.name);
    return names;
}

std::vector<std::pair<std::string, std::vector<std::int64_t>>> requiredTensors(const ModelConfig& config)
{
    std::vector<std::pair<std::string, std::vector<std::int64_t>>> required;
    const std::int64_t hidden = config.hiddenSize;
    const std::int64_t inner = config.intermediateSize;
    const std::int64_t queries = std::int64_t{config.numHeads} * config.headDim;
    const std::int64_t keys = std::int64_t{config.numKvHeads} * config.headDim;

    const auto projection = [&](const std::string& name, std::int64_t out, std::int64_t in, bool bias) {
        required.push_back({name + ".weight", {out, in}});
        if (bias)
            required.push_back({name + ".bias", {out}});
    };
    projection("model.embed_tokens", config.vocabSize, hidden, false);
    for (int layer = 0; layer < config.numLayers; ++layer) {
        const std::string prefix = fmt::format("model.layers.{}.", layer);
        const std::string attention = prefix + "self_attn.";
        const std::string mlp = prefix + "mlp.";
        const auto norm = [&](const std::string& name, std::int64_t size) {
            required.push_back({name + ".weight", {size}});
        };
        norm(prefix + "input_layernorm", hidden);
        if (config.fusedProjections) {
            projection(attention + "qkv_proj", queries + 2 * keys, hidden, config.qkvBias);
            projection(mlp + "gate_up_proj", 2 * inner, hidden, config.mlpBias);
        } else {
            projection(attention + "q_proj", queries, hidden, config.qkvBias);
            projection(attention + "k_proj", keys, hidden, config.qkvBias);
            projection(attention + "v_proj", keys, hidden, config.qkvBias);
            projection(mlp + "gate_proj", inner, hidden, config.mlpBias);
            projection(mlp + "up_proj", inner, hidden, config.mlpBias);
        }
        projection(attention + "o_proj", hidden, queries, config.outputBias);
        projection(mlp + "down_proj", hidden, inner, config.mlpBias);
        if (config.qkNorm) {
            norm(attention + "q_norm", config.headDim);
            norm(attention + "k_norm", config.headDim);
        }
        norm(prefix + "post_attention_layernorm", hidden);
        if (config.outputNorms) {
            norm(prefix + "pre_feedforward_layernorm", hidden);
            norm(prefix + "post_feedforward_layernorm", hidden);
        }
    }
    required.push_back({"model.norm.weight", {hidden}});
    if (!config.tiedEmbeddings)
        projection("lm_head", config.vocabSize, hidden, false);
    return required;
}

} // namespace kvloupe
