// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/rope_variant.h"

#include <cmath>

namespace kvloupe {

float plainPower(double theta, int headDim, std::size_t i)
{
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(headDim);
    return static_cast<float>(std::pow(static_cast<double>(static_cast<float>(theta)), static_cast<double>(exponent)));
}

std::vector<float> plainFrequencies(double theta, int headDim)
{
    // One rounding of the exact value can be one unit in the last place off from these two, which is 4e-5 radians
    // after 700 tokens.
    std::vector<float> frequencies;
    for (std::size_t i = 0; i < static_cast<std::size_t>(headDim / 2); ++i)
        frequencies.push_back(1.0F / plainPower(theta, headDim, i));
    return frequencies;
}

std::vector<float> RopeVariant::frequenciesOf(std::int64_t tokens) const
{
    if (originalContext == 0 || tokens <= originalContext)
        return frequencies;
    if (!longFrequencies.empty())
        return longFrequencies;
    if (dynamicFactor <= 0)
        return frequencies;
    // transformers, _compute_dynamic_ntk_parameters.
    const auto dim = static_cast<double>(2 * frequencies.size());
    const auto factor = static_cast<float>(dynamicFactor);
    const float length = factor * static_cast<float>(tokens) / static_cast<float>(originalContext);
    const float stretch = std::pow(length - (factor - 1), static_cast<float>(dim / (dim - 2)));
    const float grown = static_cast<float>(theta) * stretch;
    return plainFrequencies(grown, static_cast<int>(2 * frequencies.size()));
}

bool RopeVariant::switchesBetween(std::int64_t tokensBefore, std::int64_t tokensAfter) const
{
    return !longFrequencies.empty() && tokensBefore > 0 && tokensBefore <= originalContext
        && tokensAfter > originalContext;
}

} // namespace kvloupe
