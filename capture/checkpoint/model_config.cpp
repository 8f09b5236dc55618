// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/model_config.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace kvloupe {

namespace {

constexpr std::array<std::string_view, 1> architectures = {"llama"};

}

std::vector<double> ModelConfig::inverseFrequencies() const
{
    std::vector<double> frequencies;
    for (int i = 0; i < headDim / 2; ++i) {
        const double base = std::pow(ropeTheta, -2.0 * i / headDim);
        frequencies.push_back(ropeFactors.empty() ? base : base / ropeFactors.at(static_cast<std::size_t>(i)));
    }
    return frequencies;
}

std::vector<std::string_view> knownArchitectures()
{
    return {architectures.begin(), architectures.end()};
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
        required.push_back({prefix + "input_layernorm.weight", {hidden}});
        projection(prefix + "self_attn.q_proj", queries, hidden, config.attentionBias);
        projection(prefix + "self_attn.k_proj", keys, hidden, config.attentionBias);
        projection(prefix + "self_attn.v_proj", keys, hidden, config.attentionBias);
        projection(prefix + "self_attn.o_proj", hidden, queries, config.attentionBias);
        required.push_back({prefix + "post_attention_layernorm.weight", {hidden}});
        projection(prefix + "mlp.gate_proj", inner, hidden, config.mlpBias);
        projection(prefix + "mlp.up_proj", inner, hidden, config.mlpBias);
        projection(prefix + "mlp.down_proj", hidden, inner, config.mlpBias);
    }
    required.push_back({"model.norm.weight", {hidden}});
    if (!config.tiedEmbeddings)
        projection("lm_head", config.vocabSize, hidden, false);
    return required;
}

} // namespace kvloupe
