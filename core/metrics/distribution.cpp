// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/distribution.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace kvloupe {

double quantile(std::span<const double> ascending, double q)
{
    if (ascending.empty())
        return std::numeric_limits<double>::quiet_NaN();
    const double at = std::clamp(q, 0.0, 1.0) * static_cast<double>(ascending.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const auto above = std::min(below + 1, ascending.size() - 1);
    return ascending[below] + (at - static_cast<double>(below)) * (ascending[above] - ascending[below]);
}

Distribution distributionOf(std::vector<double> values)
{
    std::ranges::sort(values);
    Distribution result;
    result.count = std::ssize(values);
    result.mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    result.percentile5 = quantile(values, 0.05);
    result.median = quantile(values, 0.5);
    return result;
}

} // namespace kvloupe
