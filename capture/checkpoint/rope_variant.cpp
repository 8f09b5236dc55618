// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/rope_variant.h"

#include <cmath>

namespace kvloupe {

std::vector<float> plainFrequencies(double theta, int headDim)
{
    // One rounding of the exact value can be one unit in the last place off from these two, which is 4e-5 radians
    // after 700 tokens.
    std::vector<float> frequencies;
    for (int i = 0; i < headDim / 2; ++i)
        frequencies.push_back(1.0F / static_cast<float>(std::pow(theta, 2.0 * i / headDim)));
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
    const double length = static_cast<double>(tokens) / static_cast<double>(originalContext);
    const double grown = theta * std::pow(dynamicFactor * length - (dynamicFactor - 1), dim / (dim - 2));
    return plainFrequencies(grown, static_cast<int>(2 * frequencies.size()));
}

bool RopeVariant::switchesBetween(std::int64_t tokensBefore, std::int64_t tokensAfter) const
{
    return !longFrequencies.empty() && tokensBefore > 0 && tokensBefore <= originalContext
        && tokensAfter > originalContext;
}

} // namespace kvloupe
