// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/bounded_json.h"
#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/config_limits.h"
#include "capture/checkpoint/model_config.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

namespace kvloupe {

namespace {

using nlohmann::json;

constexpr JsonLimits configLimits{.bytes = std::size_t{4} << 20, .depth = 32};

/// One JSON object of a config file. A field that is null counts as absent, as in transformers.
class ConfigReader {
public:
    ConfigReader(const json& object, std::string where)
        : m_object(object)
        , m_where(std::move(where))
    {
    }

    const json* find(const char* field) const
    {
        const auto found = m_object.find(field);
        return found == m_object.end() || found->is_null() ? nullptr : &*found;
    }

    [[noreturn]] void fail(std::string_view field, std::string_view problem) const
    {
        throw CheckpointError(fmt::format("{}: {}: {}", m_where, field, problem));
    }

    std::optional<std::int64_t> findInteger(const char* field, std::int64_t minimum, std::int64_t maximum) const
    {
        const json* const value = find(field);
        if (value == nullptr)
            return std::nullopt;
        if (!value->is_number_integer())
            fail(field, fmt::format("found a {}, expected an integer", value->type_name()));
        if (value->is_number_unsigned() && value->get<std::uint64_t>() >> 63 != 0)
            fail(field, fmt::format("found {}, expected {} to {}", value->get<std::uint64_t>(), minimum, maximum));
        const auto number = value->get<std::int64_t>();
        if (number < minimum || number > maximum)
            fail(field, fmt::format("found {}, expected {} to {}", number, minimum, maximum));
        return number;
    }

    int requireInteger(const char* field, std::int64_t maximum) const
    {
        const auto value = findInteger(field, 1, maximum);
        if (!value)
            fail(field, "is missing");
        return static_cast<int>(*value);
    }

    double real(const char* field, std::optional<double> fallback) const
    {
        const json* const value = find(field);
        if (value == nullptr && fallback)
            return *fallback;
        if (value == nullptr)
            fail(field, "is missing");
        if (!value->is_number())
            fail(field, fmt::format("found a {}, expected a number", value->type_name()));
        return value->get<double>();
    }

    bool boolean(const char* field, bool fallback) const
    {
        const json* const value = find(field);
        if (value != nullptr && !value->is_boolean())
            fail(field, fmt::format("found a {}, expected true or false", value->type_name()));
        return value == nullptr ? fallback : value->get<bool>();
    }

    std::string string(const char* field, const char* fallback) const
    {
        const json* const value = find(field);
        if (value != nullptr && !value->is_string())
            fail(field, fmt::format("found a {}, expected a string", value->type_name()));
        return value == nullptr ? fallback : value->get<std::string>();
    }

    /// One id or a list of ids.
    std::vector<std::int32_t> ids(const char* field) const
    {
        const json* const value = find(field);
        std::vector<std::int32_t> result;
        if (value == nullptr)
            return result;
        for (const json& id : value->is_array() ? *value : json::array({*value})) {
            if (!id.is_number_unsigned() || id.get<std::uint64_t>() > static_cast<std::uint64_t>(largestVocabulary))
                fail(field, "expected a token id or a list of token ids");
            result.push_back(id.get<std::int32_t>());
        }
        std::ranges::sort(result);
        result.erase(std::unique(result.begin(), result.end()), result.end());
        return result;
    }

private:
    const json& m_object;
    std::string m_where;
};

/// Llama 3.1's rule (transformers, modeling_rope_utils.py, _compute_llama3_parameters): long wavelengths are divided by
/// `factor`, short ones stay, those between are blended.
void scaleAsLlama3(const ConfigReader& scaling, RopeVariant& rope)
{
    const auto factor = static_cast<float>(scaling.real("factor", std::nullopt));
    const auto low = static_cast<float>(scaling.real("low_freq_factor", std::nullopt));
    const auto high = static_cast<float>(scaling.real("high_freq_factor", std::nullopt));
    const auto context = static_cast<float>(scaling.real("original_max_position_embeddings", std::nullopt));
    if (!(factor >= 1 && low > 0 && high > low && context >= 1))
        scaling.fail("factor", "factor, low_freq_factor, high_freq_factor and context do not fit together");
    for (float& frequency : rope.frequencies) {
        const float wavelength = 2 * std::numbers::pi_v<float> / frequency;
        const float share = std::clamp((context / wavelength - low) / (high - low), 0.0F, 1.0F);
        frequency = (1 - share) * frequency / factor + share * frequency;
    }
}

RopeVariant readRope(const ConfigReader& config, const std::string& where, int headDim)
{
    // transformers 5 writes rope_parameters, which holds theta too; before it was rope_theta and rope_scaling.
    const char* const field = config.find("rope_parameters") != nullptr ? "rope_parameters" : "rope_scaling";
    const json* const object = config.find(field);
    RopeVariant rope;
    rope.theta = config.real("rope_theta", 10000.0);
    if (object == nullptr) {
        rope.frequencies = plainFrequencies(rope.theta, headDim);
        return rope;
    }
    if (!object->is_object())
        config.fail(field, fmt::format("found a {}, expected an object", object->type_name()));
    const ConfigReader scaling(*object, fmt::format("{}: {}", where, field));
    const FieldError fail = [&](std::string_view name, std::string_view problem) { scaling.fail(name, problem); };
    rope.theta = scaling.real("rope_theta", rope.theta);
    rope.scaling = scaling.string("rope_type", scaling.string("type", "default").c_str());
    if (!(rope.theta >= 1) || scaling.real("partial_rotary_factor", 1.0) != 1.0)
        scaling.fail("rope_theta", "theta below 1 or a partial rotation is not supported");
    rope.frequencies = plainFrequencies(rope.theta, headDim);
    if (rope.scaling == "linear") {
        const double factor = scaling.real("factor", std::nullopt);
        checkRopeFactor(factor, "factor", fail);
        for (float& frequency : rope.frequencies)
            frequency /= static_cast<float>(factor);
    } else if (rope.scaling == "llama3") {
        scaleAsLlama3(scaling, rope);
    } else if (rope.scaling != "default") {
        scaling.fail("rope_type",
            fmt::format(
                "RoPE scaling {} is not supported (supported: default, linear, llama3)", inQuotes(rope.scaling)));
    }
    return rope;
}

std::string architectureOf(const ConfigReader& config)
{
    const std::string type = config.string("model_type", "");
    if (type.empty())
        config.fail("model_type", "is missing");
    return type;
}

} // namespace

ModelConfig configFromFolder(const std::filesystem::path& folder)
{
    const std::filesystem::path path = folder / "config.json";
    const json document = readJsonObject(path, configLimits);
    const ConfigReader config(document, path.string());
    const FieldError fail = [&](std::string_view field, std::string_view problem) { config.fail(field, problem); };

    ModelConfig result;
    result.architecture = architectureOf(config);
    checkArchitecture(result.architecture, "model_type", fail);
    result.name = config.string("_name_or_path", "");
    result.numLayers = config.requireInteger("num_hidden_layers", largestLayerCount);
    result.hiddenSize = config.requireInteger("hidden_size", largestWidth);
    result.intermediateSize = config.requireInteger("intermediate_size", largestWidth);
    result.vocabSize = config.requireInteger("vocab_size", largestVocabulary);
    result.numHeads = config.requireInteger("num_attention_heads", largestHeadCount);
    result.numKvHeads
        = static_cast<int>(config.findInteger("num_key_value_heads", 1, largestHeadCount).value_or(result.numHeads));
    const auto headDim = config.findInteger("head_dim", 1, largestHeadDim);
    if (!headDim && result.hiddenSize % result.numHeads != 0)
        config.fail("num_attention_heads",
            fmt::format("{} heads do not divide the hidden size {}", result.numHeads, result.hiddenSize));
    result.headDim = static_cast<int>(headDim.value_or(result.hiddenSize / result.numHeads));
    result.maxPositions = config.findInteger("max_position_embeddings", 1, largestContext).value_or(2048);
    result.rmsNormEps = config.real("rms_norm_eps", 1e-6);
    if (const std::string activation = config.string("hidden_act", "silu"); activation != "silu")
        config.fail("hidden_act", fmt::format("found {}, only 'silu' is supported", inQuotes(activation)));
    result.tiedEmbeddings = config.boolean("tie_word_embeddings", false);
    result.qkvBias = result.outputBias = config.boolean("attention_bias", false);
    result.mlpBias = config.boolean("mlp_bias", false);
    result.attentionScale = 1.0 / std::sqrt(static_cast<double>(result.headDim));
    result.ropes = {readRope(config, path.string(), result.headDim)};
    result.layers.resize(static_cast<std::size_t>(result.numLayers));

    const auto bos = config.ids("bos_token_id");
    result.bosId = bos.empty() ? -1 : bos.front();
    result.eosIds = config.ids("eos_token_id");
    const std::filesystem::path generationPath = folder / "generation_config.json";
    if (std::filesystem::exists(generationPath)) {
        const json generation = readJsonObject(generationPath, configLimits);
        const auto eosIds = ConfigReader(generation, generationPath.string()).ids("eos_token_id");
        if (!eosIds.empty())
            result.eosIds = eosIds;
    }
    result.json = document.dump();
    checkConsistency(result, fail);
    return result;
}

} // namespace kvloupe
