// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/architecture.h"
#include "capture/checkpoint/config_limits.h"
#include "capture/checkpoint/gguf_file.h"
#include "capture/checkpoint/gguf_rope.h"
#include "capture/checkpoint/model_config.h"
#include "capture/checkpoint/rope_scaling.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

using nlohmann::ordered_json;

/// Metadata of the model as JSON; the tokenizer's lists, which are most of a GGUF header, stay out.
std::string describe(const GgufFile& file)
{
    ordered_json result = ordered_json::object();
    for (const auto& [key, value] : file.metadata()) {
        if (key.starts_with("tokenizer.") || value.type == GgufType::Array)
            continue;
        if (value.type == GgufType::String)
            result[key] = *file.findString(key);
        else if (value.type == GgufType::Bool)
            result[key] = *file.findBool(key);
        else if (value.type == GgufType::F32 || value.type == GgufType::F64)
            result[key] = *file.findReal(key);
        else if (value.type != GgufType::U64)
            result[key] = *file.findInteger(key, INT64_MIN, INT64_MAX);
    }
    return result.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

/// Per-layer lists (mixed widths) are legal GGUF; only uniform ones describe an architecture we run.
std::optional<std::int64_t> uniformInteger(const GgufFile& file, const std::string& key, std::int64_t largest)
{
    const auto found = file.metadata().find(key);
    if (found == file.metadata().end() || found->second.type != GgufType::Array)
        return file.findInteger(key, 1, largest);
    const auto values = *file.findIntegers(key);
    if (values.empty() || std::ranges::any_of(values, [&](auto value) { return value != values.front(); }))
        throw file.error(key, "differs between layers, which is not supported");
    if (values.front() < 1 || values.front() > largest)
        throw file.error(key, fmt::format("found {}, expected 1 to {}", values.front(), largest));
    return values.front();
}

/// What would change the numbers and is not computed here.
void refuseUnsupported(const GgufFile& file, const std::string& prefix)
{
    for (const char* const key : {"attn_logit_softcapping", "final_logit_softcapping"})
        if (file.findReal(prefix + key).value_or(0) != 0)
            throw file.error(prefix + key, "soft-capping is not supported");
    for (const char* const key : {"logit_scale", "residual_scale", "embedding_scale"})
        if (file.findReal(prefix + key).value_or(1) != 1)
            throw file.error(prefix + key, "is not supported");
    if (file.findInteger(prefix + "expert_count", 0, largestWidth).value_or(0) != 0)
        throw file.error(prefix + "expert_count", "mixtures of experts are not supported");
    if (!file.findBool(prefix + "attention.causal").value_or(true))
        throw file.error(prefix + "attention.causal", "attention that is not causal is not supported");
}

/// Which layers of Gemma 3 have a window: all but every n-th.
std::vector<bool> layersThatSlide(const GgufFile& file, const std::string& prefix, std::size_t layers)
{
    const auto nth = static_cast<std::size_t>(
        file.findInteger(prefix + "attention.sliding_window_pattern", 1, largestLayerCount).value_or(6));
    std::vector<bool> result(layers);
    for (std::size_t i = 0; i < layers; ++i)
        result[i] = (i + 1) % nth != 0;
    return result;
}

void readLayers(const GgufFile& file, const std::string& prefix, const Architecture& architecture, ModelConfig& config)
{
    using Windows = Architecture::Windows;
    const std::string key = prefix + "attention.sliding_window";
    const std::int64_t window = file.findInteger(key, 0, largestContext).value_or(0);
    const auto layers = static_cast<std::size_t>(config.numLayers);
    config.layers.resize(layers);
    if (architecture.windows == Windows::AllButEveryNth) {
        const auto slides = window == 0 ? std::vector<bool>(layers) : layersThatSlide(file, prefix, layers);
        for (std::size_t i = 0; i < layers; ++i)
            config.layers[i] = {.window = slides[i] ? window : 0, .rope = slides[i] ? 1 : 0};
        return;
    }
    // Files of Mistral's models are of architecture llama.
    const bool everyLayer = architecture.windows == Windows::EveryLayer || architecture.name == "llama";
    if (!everyLayer && window != 0 && window < config.maxPositions)
        throw file.error(key, "does not say which layers have the window, which is not supported");
    if (architecture.ropeFreeLayers)
        config.ropes.push_back(withoutRope(config.headDim));
    constexpr std::size_t ropeFreeInterval = 4; // llama.cpp knows no other
    for (std::size_t i = 0; i < layers; ++i)
        config.layers[i] = {.window = everyLayer ? window : 0,
            .rope = architecture.ropeFreeLayers && (i + 1) % ropeFreeInterval == 0 ? 1 : 0};
}

/// Gemma 3's largest model divides by another number than its head dimension, which no key tells.
double attentionScaleOf(
    const GgufFile& file, const std::string& prefix, const Architecture& architecture, const ModelConfig& config)
{
    constexpr int layersOfGemma27B = 62;
    const auto scale = file.findReal(prefix + "attention.scale");
    if (scale && *scale != 0)
        return *scale;
    const bool perHead = architecture.ownAttentionScale && config.numLayers == layersOfGemma27B;
    return 1.0 / std::sqrt(perHead ? config.hiddenSize / config.numHeads : config.headDim);
}

} // namespace

ModelConfig configFromGguf(const GgufFile& file)
{
    ModelConfig config;
    const FieldError fail = [&](std::string_view field, std::string_view problem) { throw file.error(field, problem); };
    config.architecture = file.requireString("general.architecture");
    checkArchitecture(config.architecture, "general.architecture", fail);
    const Architecture& architecture = *findArchitecture(config.architecture);
    config.name = file.findString("general.name").value_or("");
    const std::string prefix = config.architecture + ".";
    const auto required = [&](const char* key, std::int64_t largest) {
        const auto value = uniformInteger(file, prefix + key, largest);
        if (!value)
            throw file.error(prefix + key, "is missing from the metadata");
        return static_cast<int>(*value);
    };
    config.numLayers = required("block_count", largestLayerCount);
    config.hiddenSize = required("embedding_length", largestWidth);
    config.intermediateSize = required("feed_forward_length", largestWidth);
    config.numHeads = required("attention.head_count", largestHeadCount);
    config.numKvHeads = static_cast<int>(
        uniformInteger(file, prefix + "attention.head_count_kv", largestHeadCount).value_or(config.numHeads));
    config.maxPositions = file.requireInteger(prefix + "context_length", 1, largestContext);
    refuseUnsupported(file, prefix);

    const auto keyLength = file.findInteger(prefix + "attention.key_length", 1, largestHeadDim);
    const auto valueLength = file.findInteger(prefix + "attention.value_length", 1, largestHeadDim);
    config.headDim = static_cast<int>(keyLength.value_or(config.hiddenSize / config.numHeads));
    if (!keyLength && config.hiddenSize % config.numHeads != 0)
        throw file.error(prefix + "attention.head_count",
            fmt::format("{} heads do not divide the hidden size {}", config.numHeads, config.hiddenSize));
    if (valueLength.value_or(config.headDim) != config.headDim)
        throw file.error(prefix + "attention.value_length",
            fmt::format("found {}, expected {} as for keys", *valueLength, config.headDim));

    const auto epsilon = file.findReal(prefix + "attention.layer_norm_rms_epsilon");
    if (!epsilon)
        throw file.error(prefix + "attention.layer_norm_rms_epsilon", "is missing from the metadata");
    // Written as float32; the shortest decimal number with that value is what the model was trained with.
    config.rmsNormEps = std::stod(fmt::format("{}", static_cast<float>(*epsilon)));
    if (config.headDim % 2 != 0)
        throw file.error(prefix + "attention.key_length",
            fmt::format("found {}, rotary embedding needs an even number", config.headDim));
    config.attentionScale = attentionScaleOf(file, prefix, architecture, config);
    RopeConfig rope = readRope(file, prefix, architecture, config.headDim, config.maxPositions);
    config.ropes = std::move(rope.ropes);
    readLayers(file, prefix, architecture, config);
    config.maxPositions = rope.maxPositions;
    config.activation = architecture.activation;
    config.fusedProjections = architecture.fusedProjections;
    config.qkNorm = architecture.qkNorm;
    config.outputNorms = architecture.outputNorms;
    if (architecture.scaledEmbeddings)
        config.embeddingScale = std::sqrt(static_cast<double>(config.hiddenSize));

    const GgufTensor* const embedding = file.findTensor("token_embd.weight");
    const auto vocabulary = file.findInteger(prefix + "vocab_size", 1, largestVocabulary);
    if (!vocabulary && (embedding == nullptr || embedding->dimensions.size() != 2))
        throw file.error("tensor 'token_embd.weight'", "is missing");
    const std::int64_t vocabSize = vocabulary ? *vocabulary : embedding->dimensions[1];
    if (vocabSize > largestVocabulary)
        throw file.error("tensor 'token_embd.weight'", fmt::format("a vocabulary of {} is too large", vocabSize));
    config.vocabSize = static_cast<int>(vocabSize);

    config.tiedEmbeddings = file.findTensor("output.weight") == nullptr;
    const auto has = [&](const char* name) { return file.findTensor(name) != nullptr; };
    config.qkvBias = has("blk.0.attn_q.bias") || has("blk.0.attn_qkv.bias");
    config.outputBias = has("blk.0.attn_output.bias");
    config.mlpBias = has("blk.0.ffn_down.bias");
    config.bosId
        = static_cast<std::int32_t>(file.findInteger("tokenizer.ggml.bos_token_id", 0, largestVocabulary).value_or(-1));
    for (const char* const key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"})
        if (const auto id = file.findInteger(key, 0, largestVocabulary))
            config.eosIds.push_back(static_cast<std::int32_t>(*id));
    std::ranges::sort(config.eosIds);
    config.eosIds.erase(std::unique(config.eosIds.begin(), config.eosIds.end()), config.eosIds.end());
    config.json = describe(file);
    checkConsistency(config, fail);
    return config;
}

} // namespace kvloupe
