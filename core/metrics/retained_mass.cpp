// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/retained_mass.h"

#include <algorithm>
#include <numeric>

namespace kvloupe {

namespace {

/// A row without attention loses none.
double share(double kept, double total)
{
    return total > 0.0 ? std::clamp(kept / total, 0.0, 1.0) : 1.0;
}

} // namespace

double retainedMass(std::span<const float> row, std::int64_t firstPosition, std::span<const std::int32_t> kept)
{
    double mass = 0.0;
    for (const std::int32_t position : kept)
        if (const std::int64_t index = position - firstPosition; index >= 0 && index < std::ssize(row))
            mass += static_cast<double>(row[static_cast<std::size_t>(index)]);
    return share(mass, std::accumulate(row.begin(), row.end(), 0.0));
}

double retainedMassWhileDecoding(std::span<const float> row, const HeadTimeline& timeline, std::int64_t step)
{
    const auto& evictedAt = timeline.evictedAt;
    double mass = 0.0;
    if (timeline.visible.empty()) {
        for (std::size_t position = 0; position < row.size(); ++position)
            if (evictedAt[position] < 0 || evictedAt[position] > step)
                mass += static_cast<double>(row[position]);
    } else {
        for (const TokenRange& range : timeline.visible[static_cast<std::size_t>(step)])
            mass = std::accumulate(row.begin() + range.begin, row.begin() + range.end, mass);
    }
    return share(mass, std::accumulate(row.begin(), row.end(), 0.0));
}

} // namespace kvloupe
