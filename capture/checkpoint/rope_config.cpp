// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/rope_config.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/config_limits.h"
#include "capture/checkpoint/rope_scaling.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

namespace {

const nlohmann::json nothing = nlohmann::json::object();

/// What the rules need besides the object that holds their parameters.
struct RopeContext {
    int headDim = 0;
    std::int64_t maxPositions = 0;
    std::optional<std::int64_t> originalContext; ///< that of the whole configuration, which comes first
    bool longRopeHasOtherNames = false; ///< Phi-3: "su", "yarn"
};

std::int64_t originalContextOf(const ConfigReader& scaling, const RopeContext& context)
{
    const auto own = scaling.findInteger("original_max_position_embeddings", 1, largestContext);
    return context.originalContext.value_or(own.value_or(context.maxPositions));
}

/// "factor", or what the two contexts imply.
double factorOf(const ConfigReader& scaling, const RopeContext& context)
{
    if (scaling.find("factor") != nullptr)
        return scaling.positiveReal("factor");
    return static_cast<double>(context.maxPositions) / static_cast<double>(originalContextOf(scaling, context));
}

std::optional<double> amplitudeOf(const ConfigReader& scaling)
{
    if (scaling.find("attention_factor") == nullptr)
        return std::nullopt;
    return scaling.positiveReal("attention_factor");
}

RopeVariant readLlama3(const ConfigReader& scaling, double theta, const RopeContext& context)
{
    const Llama3Scaling llama3{.factor = scaling.positiveReal("factor"),
        .lowFrequencyFactor = scaling.positiveReal("low_freq_factor"),
        .highFrequencyFactor = scaling.positiveReal("high_freq_factor"),
        .originalContext = originalContextOf(scaling, context)};
    if (llama3.factor < 1 || llama3.highFrequencyFactor <= llama3.lowFrequencyFactor)
        scaling.fail("factor", "factor, low_freq_factor and high_freq_factor do not fit together");
    return llama3Rope(theta, context.headDim, llama3);
}

RopeVariant readYarn(const ConfigReader& scaling, double theta, const RopeContext& context)
{
    YarnScaling yarn{.factor = factorOf(scaling, context),
        .originalContext = originalContextOf(scaling, context),
        .attentionFactor = amplitudeOf(scaling),
        .mscale = scaling.real("mscale", 0),
        .mscaleAllDim = scaling.real("mscale_all_dim", 0),
        .truncate = scaling.boolean("truncate", true)};
    if (scaling.real("beta_fast", 0) != 0)
        yarn.betaFast = scaling.positiveReal("beta_fast");
    if (scaling.real("beta_slow", 0) != 0)
        yarn.betaSlow = scaling.positiveReal("beta_slow");
    if (yarn.betaFast < yarn.betaSlow || theta <= 1)
        scaling.fail("beta_fast", "beta_fast, beta_slow and rope_theta do not fit together");
    return yarnRope(theta, context.headDim, yarn);
}

RopeVariant readLongRope(const ConfigReader& scaling, double theta, const RopeContext& context)
{
    const auto pairs = static_cast<std::size_t>(context.headDim / 2);
    const LongRopeScaling longScaling{.shortFactors = scaling.positiveReals("short_factor", pairs),
        .longFactors = scaling.positiveReals("long_factor", pairs),
        .originalContext = originalContextOf(scaling, context),
        .factor = factorOf(scaling, context),
        .attentionFactor = amplitudeOf(scaling)};
    if (longScaling.originalContext < 2)
        scaling.fail("original_max_position_embeddings", "found 1, expected at least 2");
    return longRope(theta, context.headDim, longScaling);
}

RopeVariant readScaled(const ConfigReader& scaling, double theta, const RopeContext& context)
{
    if (!(theta >= 1 && theta <= largestReal))
        scaling.fail("rope_theta", fmt::format("found {}, expected a number of at least 1", theta));
    if (scaling.real("partial_rotary_factor", 1) != 1)
        scaling.fail("partial_rotary_factor", "a partial rotation is not supported");
    std::string type = scaling.string("rope_type", scaling.string("type", "default").c_str());
    if (context.longRopeHasOtherNames && (type == "su" || type == "yarn"))
        type = "longrope";
    if (type == "default")
        return plainRope(theta, context.headDim);
    if (type == "linear")
        return linearRope(theta, context.headDim, scaling.positiveReal("factor"));
    if (type == "dynamic" && context.headDim >= 4)
        return dynamicRope(theta, context.headDim, scaling.positiveReal("factor"), context.maxPositions);
    if (type == "llama3")
        return readLlama3(scaling, theta, context);
    if (type == "yarn")
        return readYarn(scaling, theta, context);
    if (type == "longrope")
        return readLongRope(scaling, theta, context);
    scaling.fail("rope_type",
        fmt::format("RoPE scaling {} is not supported (supported: default, dynamic, linear, llama3, longrope, yarn)",
            inQuotes(type)));
}

/// Layers with a window have a RoPE of their own (Gemma 3).
std::vector<RopeVariant> readGlobalAndLocal(
    const ConfigReader& config, const Architecture& architecture, const RopeContext& context)
{
    const ConfigReader empty(nothing, config.where());
    const auto parameters = config.object("rope_parameters");
    if (parameters && !parameters->mentions("full_attention") && !parameters->mentions("sliding_attention"))
        config.fail("rope_parameters", "expected full_attention and sliding_attention");
    const auto part = [&](const char* kind) { return parameters ? parameters->object(kind) : std::nullopt; };
    const auto global = part("full_attention");
    const auto local = part("sliding_attention");
    const auto scaling = config.object("rope_scaling");
    const double theta = config.real("rope_theta", architecture.ropeTheta);
    const double localTheta = config.real("rope_local_base_freq", 10000);
    return {readScaled(scaling ? *scaling : global.value_or(empty), global ? global->real("rope_theta", theta) : theta,
                context),
        readScaled(local.value_or(empty), local ? local->real("rope_theta", localTheta) : localTheta, context)};
}

} // namespace

std::int64_t scaledContext(
    const RopeVariant& rope, double factor, std::int64_t originalContext, std::int64_t maxPositions)
{
    const bool extendsWhole = rope.scaling == "linear" || rope.scaling == "dynamic";
    if (!extendsWhole && rope.scaling != "yarn")
        return maxPositions;
    const double extended = factor * static_cast<double>(extendsWhole ? maxPositions : originalContext);
    return extended > static_cast<double>(largestContext) ? largestContext
                                                          : std::max(maxPositions, static_cast<std::int64_t>(extended));
}

RopeConfig readRope(
    const ConfigReader& config, const Architecture& architecture, int headDim, std::int64_t maxPositions)
{
    if (config.real("partial_rotary_factor", 1) != 1)
        config.fail("partial_rotary_factor", "a partial rotation is not supported");
    RopeContext context{.headDim = headDim,
        .maxPositions = maxPositions,
        .originalContext = config.findInteger("original_max_position_embeddings", 1, largestContext),
        .longRopeHasOtherNames = architecture.originalContext != 0};
    if (!context.originalContext && architecture.originalContext != 0)
        context.originalContext = architecture.originalContext;
    if (architecture.localRope)
        return {readGlobalAndLocal(config, architecture, context), maxPositions};

    const char* const field = config.find("rope_parameters") != nullptr ? "rope_parameters" : "rope_scaling";
    const double theta = config.real("rope_theta", architecture.ropeTheta);
    const auto scaling = config.object(field);
    if (!scaling)
        return {{readScaled(ConfigReader(nothing, config.where()), theta, context)}, maxPositions};
    if (scaling->mentions("full_attention"))
        config.fail(field, "differs between layers, which is not supported for this architecture");
    const RopeVariant rope = readScaled(*scaling, scaling->real("rope_theta", theta), context);
    return {
        {rope}, scaledContext(rope, scaling->real("factor", 1), originalContextOf(*scaling, context), maxPositions)};
}

} // namespace kvloupe
