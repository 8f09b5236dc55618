// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace kvloupe {

RopeVariant plainRope(double theta, int headDim)
{
    RopeVariant rope;
    rope.theta = theta;
    rope.frequencies = plainFrequencies(theta, headDim);
    return rope;
}

RopeVariant withoutRope(int headDim)
{
    RopeVariant rope;
    rope.scaling = "none";
    rope.frequencies.assign(static_cast<std::size_t>(headDim / 2), 0.0F);
    return rope;
}

RopeVariant linearRope(double theta, int headDim, double factor)
{
    RopeVariant rope = plainRope(theta, headDim);
    rope.scaling = "linear";
    for (float& frequency : rope.frequencies)
        frequency /= static_cast<float>(factor);
    return rope;
}

RopeVariant dynamicRope(double theta, int headDim, double factor, std::int64_t context)
{
    RopeVariant rope = plainRope(theta, headDim);
    rope.scaling = "dynamic";
    rope.dynamicFactor = factor;
    rope.originalContext = context;
    return rope;
}

RopeVariant llama3Rope(double theta, int headDim, const Llama3Scaling& scaling)
{
    RopeVariant rope = plainRope(theta, headDim);
    rope.scaling = "llama3";
    const auto factor = static_cast<float>(scaling.factor);
    const auto low = static_cast<float>(scaling.lowFrequencyFactor);
    const auto high = static_cast<float>(scaling.highFrequencyFactor);
    const auto context = static_cast<float>(scaling.originalContext);
    for (float& frequency : rope.frequencies) {
        const float wavelength = 2 * std::numbers::pi_v<float> / frequency;
        const float share = std::clamp((context / wavelength - low) / (high - low), 0.0F, 1.0F);
        frequency = (1 - share) * frequency / factor + share * frequency;
    }
    return rope;
}

namespace {

double yarnAmplitude(double factor, double mscale)
{
    return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

double yarnAmplitude(const YarnScaling& scaling)
{
    if (scaling.attentionFactor)
        return *scaling.attentionFactor;
    if (scaling.mscale != 0 && scaling.mscaleAllDim != 0)
        return yarnAmplitude(scaling.factor, scaling.mscale) / yarnAmplitude(scaling.factor, scaling.mscaleAllDim);
    return yarnAmplitude(scaling.factor, 1);
}

} // namespace

RopeVariant yarnRope(double theta, int headDim, const YarnScaling& scaling)
{
    RopeVariant rope = plainRope(theta, headDim);
    rope.scaling = "yarn";
    rope.attentionScaling = yarnAmplitude(scaling);

    // Between the dimensions that turn betaFast and betaSlow times in the original context.
    const auto dimensionOf = [&](double turns) {
        const double context = static_cast<double>(scaling.originalContext);
        return headDim * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(theta));
    };
    double first = dimensionOf(scaling.betaFast);
    double last = dimensionOf(scaling.betaSlow);
    if (scaling.truncate) {
        first = std::floor(first);
        last = std::ceil(last);
    }
    first = std::max(first, 0.0);
    last = std::min(last, headDim - 1.0);
    if (first == last)
        last += 0.001;
    const auto factor = static_cast<float>(scaling.factor);
    for (std::size_t i = 0; i < rope.frequencies.size(); ++i) {
        const float ramp = (static_cast<float>(i) - static_cast<float>(first)) / static_cast<float>(last - first);
        const float kept = 1 - std::clamp(ramp, 0.0F, 1.0F);
        const float interpolated = 1 / (factor * plainPower(theta, headDim, i));
        rope.frequencies[i] = interpolated * (1 - kept) + rope.frequencies[i] * kept;
    }
    return rope;
}

RopeVariant longRope(double theta, int headDim, const LongRopeScaling& scaling)
{
    RopeVariant rope;
    rope.scaling = "longrope";
    rope.theta = theta;
    rope.originalContext = scaling.originalContext;
    for (std::size_t i = 0; i < static_cast<std::size_t>(headDim / 2); ++i) {
        const float power = plainPower(theta, headDim, i);
        rope.frequencies.push_back(1 / (scaling.shortFactors[i] * power));
        rope.longFrequencies.push_back(1 / (scaling.longFactors[i] * power));
    }
    if (scaling.attentionFactor)
        rope.attentionScaling = *scaling.attentionFactor;
    else if (scaling.factor > 1)
        rope.attentionScaling
            = std::sqrt(1 + std::log(scaling.factor) / std::log(static_cast<double>(scaling.originalContext)));
    return rope;
}

} // namespace kvloupe
