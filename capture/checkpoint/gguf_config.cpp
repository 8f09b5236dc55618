// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/config_limits.h"
#include "capture/checkpoint/gguf_file.h"
#include "capture/checkpoint/model_config.h"
#include "capture/checkpoint/tensor_types.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

using nlohmann::ordered_json;

const GgufTensor* findTensor(const GgufFile& file, std::string_view name)
{
    const auto found = std::ranges::find(file.tensors(), name, &GgufTensor::name);
    return found == file.tensors().end() ? nullptr : &*found;
}

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

RopeVariant readRope(const GgufFile& file, const std::string& prefix, int headDim)
{
    RopeVariant rope;
    rope.theta = file.findReal(prefix + "rope.freq_base").value_or(10000.0);
    rope.frequencies = plainFrequencies(rope.theta, headDim);
    const auto rotated = file.findInteger(prefix + "rope.dimension_count", 1, largestHeadDim);
    if (rotated && *rotated != headDim)
        throw file.error(prefix + "rope.dimension_count",
            fmt::format("rotates {} of {} values of a head, only whole heads are supported", *rotated, headDim));
    const std::string scaling(file.findString(prefix + "rope.scaling.type").value_or("none"));
    auto factor = file.findReal(prefix + "rope.scaling.factor");
    if (scaling != "none" && scaling != "linear")
        throw file.error(prefix + "rope.scaling.type",
            fmt::format("RoPE scaling {} is not supported (supported: none, linear)", inQuotes(scaling)));
    if (scaling == "linear" && !factor)
        throw file.error(prefix + "rope.scaling.factor", "is missing, linear RoPE scaling needs it");
    if (scaling == "none")
        factor = file.findReal(prefix + "rope.scale_linear");
    const FieldError fail = [&](std::string_view field, std::string_view problem) { throw file.error(field, problem); };
    if (factor) {
        checkRopeFactor(*factor, prefix + "rope.scaling.factor", fail);
        rope.scaling = "linear";
        for (float& frequency : rope.frequencies)
            frequency /= static_cast<float>(*factor);
    }
    // Llama 3.1 and later: one divisor per rotary pair, written by the converter.
    if (const GgufTensor* const tensor = findTensor(file, "rope_freqs.weight")) {
        std::vector<float> divisors(rope.frequencies.size());
        if (dataTypeOfGgml(tensor->type) != DataType::F32 || tensor->bytes.size() != divisors.size() * sizeof(float))
            throw file.error(
                "tensor 'rope_freqs.weight'", fmt::format("expected {} values of type F32", divisors.size()));
        dequantize(DataType::F32, tensor->bytes, divisors);
        rope.scaling = "llama3";
        for (std::size_t i = 0; i < divisors.size(); ++i) {
            checkRopeFactor(static_cast<double>(divisors[i]), "tensor 'rope_freqs.weight'", fail);
            rope.frequencies[i] /= divisors[i];
        }
    }
    return rope;
}

} // namespace

ModelConfig configFromGguf(const GgufFile& file)
{
    ModelConfig config;
    const FieldError fail = [&](std::string_view field, std::string_view problem) { throw file.error(field, problem); };
    config.architecture = file.requireString("general.architecture");
    checkArchitecture(config.architecture, "general.architecture", fail);
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
    const auto experts = file.findInteger(prefix + "expert_count", 0, largestWidth);
    if (experts.value_or(0) != 0)
        throw file.error(prefix + "expert_count", "mixtures of experts are not supported");

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
    config.attentionScale = 1.0 / std::sqrt(static_cast<double>(config.headDim));
    config.ropes = {readRope(file, prefix, config.headDim)};
    config.layers.resize(static_cast<std::size_t>(config.numLayers));

    const GgufTensor* const embedding = findTensor(file, "token_embd.weight");
    const auto vocabulary = file.findInteger(prefix + "vocab_size", 1, largestVocabulary);
    if (!vocabulary && (embedding == nullptr || embedding->dimensions.size() != 2))
        throw file.error("tensor 'token_embd.weight'", "is missing");
    const std::int64_t vocabSize = vocabulary ? *vocabulary : embedding->dimensions[1];
    if (vocabSize > largestVocabulary)
        throw file.error("tensor 'token_embd.weight'", fmt::format("a vocabulary of {} is too large", vocabSize));
    config.vocabSize = static_cast<int>(vocabSize);

    config.tiedEmbeddings = findTensor(file, "output.weight") == nullptr;
    config.qkvBias = findTensor(file, "blk.0.attn_q.bias") != nullptr;
    config.outputBias = findTensor(file, "blk.0.attn_output.bias") != nullptr;
    config.mlpBias = findTensor(file, "blk.0.ffn_gate.bias") != nullptr;
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
