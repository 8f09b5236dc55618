// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/region_mass.h"

namespace kvloupe {

std::vector<double> massByRegion(
    std::span<const float> attention, std::int64_t firstPosition, const TokenRegions& regions)
{
    std::vector<double> mass(regions.regions().size(), 0.0);
    double total = 0.0;
    for (std::size_t index = 0; index < attention.size(); ++index) {
        const auto share = static_cast<double>(attention[index]);
        mass[static_cast<std::size_t>(regions.at(firstPosition + static_cast<std::int64_t>(index)))] += share;
        total += share;
    }
    for (double& share : mass)
        share = total > 0.0 ? share / total : 0.0;
    return mass;
}

} // namespace kvloupe
