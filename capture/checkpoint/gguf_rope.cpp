// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/gguf_rope.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/config_limits.h"
#include "capture/checkpoint/gguf_file.h"
#include "capture/checkpoint/rope_scaling.h"
#include "capture/checkpoint/tensor_types.h"

#include <fmt/format.h>

#include <cmath>

namespace kvloupe {

namespace {

/// The keys of one file that begin with "ARCHITECTURE.rope.".
class RopeKeys {
public:
    RopeKeys(const GgufFile& file, const std::string& prefix)
        : m_file(file)
        , m_prefix(prefix + "rope.")
    {
    }

    std::optional<double> findPositive(const char* key) const
    {
        const auto value = m_file.findReal(m_prefix + key);
        if (value && !(*value > 0 && *value <= largestReal))
            fail(key, fmt::format("found {}, expected a positive number", *value));
        return value;
    }

    double requirePositive(const char* key, const std::string& scaling) const
    {
        const auto value = findPositive(key);
        if (!value)
            fail(key, fmt::format("is missing, {} RoPE scaling needs it", scaling));
        return *value;
    }

    double theta(const char* key, double fallback) const
    {
        const double value = findPositive(key).value_or(fallback);
        if (value < 1)
            fail(key, fmt::format("found {}, expected a number of at least 1", value));
        return value;
    }

    std::optional<std::int64_t> findInteger(const char* key, std::int64_t maximum) const
    {
        return m_file.findInteger(m_prefix + key, 1, maximum);
    }

    /// "" if there is none.
    std::string string(const char* key) const { return std::string(m_file.findString(m_prefix + key).value_or("")); }

    [[noreturn]] void fail(const char* key, std::string_view problem) const
    {
        throw m_file.error(m_prefix + key, problem);
    }

    /// A tensor of one positive number for each pair of a head; empty if there is none.
    std::vector<float> divisors(const char* name, std::size_t pairs) const
    {
        const GgufTensor* const tensor = m_file.findTensor(name);
        if (tensor == nullptr)
            return {};
        const std::string what = fmt::format("tensor '{}'", name);
        if (dataTypeOfGgml(tensor->type) != DataType::F32 || tensor->bytes.size() != pairs * sizeof(float))
            throw m_file.error(what, fmt::format("expected {} values of type F32", pairs));
        std::vector<float> values(pairs);
        dequantize(DataType::F32, tensor->bytes, values);
        for (const float value : values)
            if (!(value > 0 && std::isfinite(value)))
                throw m_file.error(what, fmt::format("found {}, expected positive numbers", value));
        return values;
    }

private:
    const GgufFile& m_file;
    std::string m_prefix;
};

RopeVariant readYarn(const RopeKeys& keys, double theta, int headDim, std::int64_t originalContext)
{
    YarnScaling yarn;
    yarn.factor = keys.requirePositive("scaling.factor", "yarn");
    yarn.originalContext = originalContext;
    yarn.betaFast = keys.findPositive("scaling.yarn_beta_fast").value_or(yarn.betaFast);
    yarn.betaSlow = keys.findPositive("scaling.yarn_beta_slow").value_or(yarn.betaSlow);
    if (yarn.betaFast < yarn.betaSlow || theta <= 1)
        keys.fail("scaling.yarn_beta_fast", "beta_fast, beta_slow and the base do not fit together");
    // The converter writes the amplitude of config.json here, llama.cpp multiplies its own by it; 1 is what both mean.
    if (keys.findPositive("scaling.yarn_attn_factor").value_or(1) != 1)
        keys.fail("scaling.yarn_attn_factor", "an amplitude other than YaRN's own is not supported");
    if (keys.findPositive("scaling.yarn_ext_factor").value_or(1) != 1)
        keys.fail("scaling.yarn_ext_factor", "YaRN in part is not supported");
    if (keys.findPositive("scaling.yarn_log_multiplier"))
        keys.fail("scaling.yarn_log_multiplier", "is not supported");
    RopeVariant rope = yarnRope(theta, headDim, yarn);
    rope.attentionScaling *= keys.findPositive("scaling.attn_factor").value_or(1);
    return rope;
}

RopeVariant readScaled(
    const RopeKeys& keys, double theta, int headDim, std::int64_t maxPositions, std::int64_t originalContext)
{
    const auto pairs = static_cast<std::size_t>(headDim / 2);
    std::string scaling = keys.string("scaling.type");
    const bool isLong
        = scaling == "longrope" || (scaling.empty() && !keys.divisors("rope_factors_long.weight", pairs).empty());
    if (isLong) {
        const LongRopeScaling longScaling{.shortFactors = keys.divisors("rope_factors_short.weight", pairs),
            .longFactors = keys.divisors("rope_factors_long.weight", pairs),
            .originalContext = originalContext,
            .factor = static_cast<double>(maxPositions) / static_cast<double>(originalContext),
            .attentionFactor = keys.findPositive("scaling.attn_factor")};
        if (longScaling.shortFactors.empty() || longScaling.longFactors.empty() || originalContext < 2)
            keys.fail("scaling.type",
                "LongRoPE needs rope_factors_long.weight, rope_factors_short.weight and "
                "rope.scaling.original_context_length");
        return longRope(theta, headDim, longScaling);
    }
    if (scaling == "yarn")
        return readYarn(keys, theta, headDim, originalContext);
    if (scaling == "linear")
        return linearRope(theta, headDim, keys.requirePositive("scaling.factor", "linear"));
    if (!scaling.empty() && scaling != "none")
        keys.fail("scaling.type",
            fmt::format(
                "RoPE scaling {} is not supported (supported: none, linear, longrope, yarn)", inQuotes(scaling)));
    // A factor without a type is linear, under its newer or its older name.
    auto factor = scaling.empty() ? keys.findPositive("scaling.factor") : std::nullopt;
    if (!factor)
        factor = keys.findPositive("scale_linear");
    return factor ? linearRope(theta, headDim, *factor) : plainRope(theta, headDim);
}

} // namespace

RopeConfig readRope(const GgufFile& file, const std::string& prefix, const Architecture& architecture, int headDim,
    std::int64_t maxPositions)
{
    const RopeKeys keys(file, prefix);
    const auto rotated = keys.findInteger("dimension_count", largestHeadDim);
    if (rotated && *rotated != headDim)
        keys.fail("dimension_count",
            fmt::format("rotates {} of {} values of a head, only whole heads are supported", *rotated, headDim));
    const double theta = keys.theta("freq_base", architecture.localRope ? architecture.ropeTheta : 10000.0);
    const auto original = keys.findInteger("scaling.original_context_length", largestContext).value_or(maxPositions);
    RopeVariant rope = readScaled(keys, theta, headDim, maxPositions, original);
    // Llama 3.1 and later: one divisor per rotary pair, written by the converter.
    const auto divisors = keys.divisors("rope_freqs.weight", rope.frequencies.size());
    if (!divisors.empty())
        rope.scaling = "llama3";
    for (std::size_t i = 0; i < divisors.size(); ++i)
        rope.frequencies[i] /= divisors[i];
    if (architecture.localRope)
        return {{rope, plainRope(keys.theta("freq_base_swa", 10000.0), headDim)}, maxPositions};
    const double factor = keys.findPositive("scaling.factor").value_or(1);
    return {{rope}, scaledContext(rope, factor, original, maxPositions)};
}

} // namespace kvloupe
