// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// The q-quantile, 0 <= q <= 1, of values in ascending order, linear between neighbours as numpy.quantile's default.
/// NaN without values.
double quantile(std::span<const double> ascending, double q);

/// What values are like in three numbers; NaN without values.
struct Distribution {
    std::int64_t count = 0;
    double mean = 0.0;
    double percentile5 = 0.0;
    double median = 0.0;
};
Distribution distributionOf(std::vector<double> values);

} // namespace kvloupe
