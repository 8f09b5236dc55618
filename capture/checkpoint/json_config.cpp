// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/architecture.h"
#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/config_limits.h"
#include "capture/checkpoint/config_reader.h"
#include "capture/checkpoint/model_config.h"
#include "capture/checkpoint/rope_config.h"
#include "capture/checkpoint/rope_scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace kvloupe {

namespace {

using nlohmann::json;

constexpr JsonLimits configLimits{.bytes = std::size_t{4} << 20, .depth = 32};

const Architecture& architectureOf(const ConfigReader& config)
{
    const std::string type = config.string("model_type", "");
    if (type.empty())
        config.fail("model_type", "is missing");
    checkArchitecture(type, "model_type", [&](auto field, auto problem) { config.fail(field, problem); });
    return *findArchitecture(type);
}

/// What would change the numbers and is not computed here.
void refuseUnsupported(const ConfigReader& config)
{
    for (const char* const field : {"attn_logit_softcapping", "final_logit_softcapping"})
        if (config.real(field, 0) != 0)
            config.fail(field, "soft-capping is not supported");
    for (const char* const field : {"num_local_experts", "num_experts", "n_routed_experts"})
        if (config.findInteger(field, 0, largestWidth).value_or(0) != 0)
            config.fail(field, "mixtures of experts are not supported");
    if (config.boolean("use_bidirectional_attention", false))
        config.fail("use_bidirectional_attention", "attention that is not causal is not supported");
    if (!config.boolean("is_causal", true))
        config.fail("is_causal", "attention that is not causal is not supported");
    if (config.find("quantization_config") != nullptr)
        config.fail("quantization_config",
            "weights quantised by GPTQ, AWQ, bitsandbytes and the like are not supported; give the original checkpoint "
            "or a GGUF file");
}

void readSizes(const ConfigReader& config, const Architecture& architecture, ModelConfig& result)
{
    const auto integer = [&](const char* field, std::int64_t maximum, int fallback) {
        return static_cast<int>(config.positiveInteger(field, maximum, fallback));
    };
    result.numLayers = integer("num_hidden_layers", largestLayerCount, 0);
    result.hiddenSize = integer("hidden_size", largestWidth, 0);
    result.intermediateSize = integer("intermediate_size", largestWidth, 0);
    result.vocabSize = integer("vocab_size", largestVocabulary, architecture.vocabSize);
    result.numHeads = integer("num_attention_heads", largestHeadCount, architecture.numHeads);
    result.numKvHeads = integer("num_key_value_heads", largestHeadCount,
        architecture.numKvHeads != 0 ? architecture.numKvHeads : result.numHeads);
    int headDim = architecture.headDim;
    if (headDim == 0 && config.find("head_dim") == nullptr) {
        if (result.hiddenSize % result.numHeads != 0)
            config.fail("num_attention_heads",
                fmt::format("{} heads do not divide the hidden size {}", result.numHeads, result.hiddenSize));
        headDim = result.hiddenSize / result.numHeads;
    }
    result.headDim = integer("head_dim", largestHeadDim, headDim);
    if (result.headDim % 2 != 0)
        config.fail("head_dim", fmt::format("found {}, rotary embedding needs an even number", result.headDim));
}

Activation readActivation(const ConfigReader& config, const Architecture& architecture)
{
    const char* const field = config.find("hidden_activation") != nullptr ? "hidden_activation" : "hidden_act";
    const std::string name = config.string(field, "");
    if (name.empty())
        return architecture.activation;
    if (name == "silu")
        return Activation::Silu;
    if (name == "gelu_pytorch_tanh")
        return Activation::GeluTanh;
    config.fail(field, fmt::format("found {}, only 'silu' and 'gelu_pytorch_tanh' are supported", inQuotes(name)));
}

void readBiases(const ConfigReader& config, const Architecture& architecture, ModelConfig& result)
{
    const bool configured = config.boolean("attention_bias", false);
    switch (architecture.attentionBias) {
    case Architecture::AttentionBias::None:
        break;
    case Architecture::AttentionBias::Qkv:
        result.qkvBias = true;
        break;
    case Architecture::AttentionBias::Configured:
        result.qkvBias = result.outputBias = configured;
        break;
    }
    result.mlpBias = architecture.configuredMlpBias && config.boolean("mlp_bias", false);
}

/// SmolLM3: 1 for layers with RoPE. By default every fourth has none.
std::vector<bool> layersWithRope(const ConfigReader& config, const Architecture& architecture, std::size_t layers)
{
    std::vector<bool> result(layers, true);
    if (!architecture.ropeFreeLayers)
        return result;
    const auto listed = config.integers("no_rope_layers", 0, 1);
    if (config.find("no_rope_layers") != nullptr && listed.size() < layers)
        config.fail("no_rope_layers", fmt::format("found {} numbers for {} layers", listed.size(), layers));
    const std::int64_t interval = config.positiveInteger("no_rope_layer_interval", largestLayerCount, 4);
    for (std::size_t i = 0; i < layers; ++i)
        result[i] = listed.empty() ? (i + 1) % static_cast<std::size_t>(interval) != 0 : listed[i] != 0;
    return result;
}

std::vector<bool> layersThatSlide(
    const ConfigReader& config, const Architecture& architecture, std::size_t layers, const std::vector<bool>& withRope)
{
    using Windows = Architecture::Windows;
    std::vector<bool> result(layers, false);
    if (architecture.windows == Windows::None)
        return result;
    if (architecture.windows == Windows::EveryLayer)
        return std::vector<bool>(layers, true);
    const auto listed = config.strings("layer_types");
    if (!listed.empty() && listed.size() != layers)
        config.fail("layer_types", fmt::format("found {} kinds for {} layers", listed.size(), layers));
    const auto first
        = static_cast<std::size_t>(config.findInteger("max_window_layers", 0, largestLayerCount).value_or(28));
    const auto nth = static_cast<std::size_t>(config.positiveInteger("sliding_window_pattern", largestLayerCount, 6));
    for (std::size_t i = 0; i < layers; ++i) {
        if (!listed.empty() && listed[i] != "full_attention" && listed[i] != "sliding_attention")
            config.fail("layer_types", fmt::format("found {}, which is not supported", inQuotes(listed[i])));
        if (!listed.empty())
            result[i] = listed[i] == "sliding_attention";
        else if (architecture.windows == Windows::AfterMaxWindowLayers)
            result[i] = i >= first;
        else if (architecture.windows == Windows::AllButEveryNth)
            result[i] = (i + 1) % nth != 0;
        else
            result[i] = !withRope[i];
    }
    return result;
}

/// The window of layers that slide; 0: there is none.
std::int64_t readWindow(const ConfigReader& config, const Architecture& architecture)
{
    using Windows = Architecture::Windows;
    const bool mustBeAskedFor
        = architecture.windows == Windows::AfterMaxWindowLayers || architecture.windows == Windows::WithoutRope;
    if (mustBeAskedFor && !config.boolean("use_sliding_window", false))
        return 0;
    const std::int64_t fallback = config.mentions("sliding_window") ? 0 : architecture.window;
    return config.findInteger("sliding_window", 1, largestContext).value_or(fallback);
}

void readLayers(const ConfigReader& config, const Architecture& architecture, ModelConfig& result)
{
    const auto layers = static_cast<std::size_t>(result.numLayers);
    result.layers.resize(layers);
    const auto withRope = layersWithRope(config, architecture, layers);
    const auto slides = layersThatSlide(config, architecture, layers, withRope);
    const std::int64_t window = readWindow(config, architecture);
    if (std::ranges::find(withRope, false) != withRope.end())
        result.ropes.push_back(withoutRope(result.headDim));
    for (std::size_t i = 0; i < layers; ++i) {
        result.layers[i].window = slides[i] ? window : 0;
        result.layers[i].rope = (architecture.localRope ? slides[i] : !withRope[i]) ? 1 : 0;
    }
    if (architecture.localRope && window == 0 && std::ranges::find(slides, true) != slides.end())
        config.fail("sliding_window", "is missing");
}

/// Of the text's part or, where it says nothing, of the whole configuration.
std::vector<std::int32_t> idsOf(const char* field, const ConfigReader& text, const ConfigReader& whole)
{
    const auto ids = text.ids(field);
    return ids.empty() ? whole.ids(field) : ids;
}

} // namespace

ModelConfig configFromFolder(const std::filesystem::path& folder)
{
    const std::filesystem::path path = folder / "config.json";
    const json document = readJsonObject(path, configLimits);
    const ConfigReader whole(document, path.string());
    const Architecture& architecture = architectureOf(whole);
    // Models that see describe their text part in an object of its own.
    const ConfigReader config
        = architecture.textModelType.empty() ? whole : whole.object("text_config").value_or(whole);
    refuseUnsupported(whole);
    refuseUnsupported(config);

    ModelConfig result;
    result.architecture = architecture.name;
    result.name = whole.string("_name_or_path", "");
    readSizes(config, architecture, result);
    result.rmsNormEps = config.real("rms_norm_eps", architecture.rmsNormEps);
    result.activation = readActivation(config, architecture);
    result.tiedEmbeddings
        = whole.boolean("tie_word_embeddings", config.boolean("tie_word_embeddings", architecture.tiedEmbeddings));
    readBiases(config, architecture, result);
    result.fusedProjections = architecture.fusedProjections;
    result.qkNorm = architecture.qkNorm;
    result.outputNorms = architecture.outputNorms;
    result.normOffset = architecture.offsetNorms ? 1 : 0;
    result.embeddingScale = architecture.scaledEmbeddings ? std::sqrt(static_cast<double>(result.hiddenSize)) : 1.0;
    const double scaleOf = architecture.ownAttentionScale && config.find("query_pre_attn_scalar") != nullptr
        ? config.positiveReal("query_pre_attn_scalar")
        : architecture.ownAttentionScale ? architecture.headDim
                                         : result.headDim;
    result.attentionScale = 1.0 / std::sqrt(scaleOf);
    const std::int64_t maxPositions
        = config.positiveInteger("max_position_embeddings", largestContext, architecture.maxPositions);
    RopeConfig rope = readRope(config, architecture, result.headDim, maxPositions);
    result.ropes = std::move(rope.ropes);
    result.maxPositions = rope.maxPositions;
    readLayers(config, architecture, result);

    const auto bos = idsOf("bos_token_id", config, whole);
    result.bosId = bos.empty() ? -1 : bos.front();
    result.eosIds = idsOf("eos_token_id", config, whole);
    const std::filesystem::path generationPath = folder / "generation_config.json";
    if (std::filesystem::exists(generationPath)) {
        const json generation = readJsonObject(generationPath, configLimits);
        const ConfigReader reader(generation, generationPath.string());
        if (const auto eosIds = reader.ids("eos_token_id"); !eosIds.empty())
            result.eosIds = eosIds;
        if (const auto bosIds = reader.ids("bos_token_id"); result.bosId < 0 && !bosIds.empty())
            result.bosId = bosIds.front();
    }
    result.json = document.dump();
    checkConsistency(result, [&](std::string_view field, std::string_view problem) { config.fail(field, problem); });
    return result;
}

} // namespace kvloupe
