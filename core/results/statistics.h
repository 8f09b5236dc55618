// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace kvloupe {

struct Interval {
    double low = 0.0;
    double high = 0.0;
};

/// Wilson's score interval of a share, 95 % by default; NaN without trials. Wilson 1927.
///
/// `successes` may be a sum of scores from 0 to 1 and need not be whole: such a sum varies no more than one of zeros
/// and ones with the same mean, so the interval is then too wide rather than too narrow.
Interval wilsonInterval(double successes, std::int64_t trials, double z = 1.959963984540054);

/// (compressed - base) / base, a fraction: Eq. 1 of arXiv 2502.01941. NaN when the base is 0.
double relativeDrop(double compressed, double base);

/// How a p value was come by. Exact: two-sided binomial test of the discordant pairs. Corrected: chi-squared with one
/// degree of freedom and continuity correction, (|b - c| - 1)^2 / (b + c), Edwards 1948.
enum class PairedTest { Exact, Corrected };
std::string_view pairedTestName(PairedTest test); ///< "exact", "corrected"

struct McNemar {
    double p = 1.0;
    PairedTest test = PairedTest::Exact;
};

/// McNemar's test whether two runs of the same samples are right equally often. `lost`: pairs that only the first got
/// right, `gained`: only the second. Exact below 25 discordant pairs, corrected from there on; p = 1 without any.
McNemar mcnemarTest(std::int64_t lost, std::int64_t gained);

/// Holm's step-down correction: p values as they would have to be reported for a family-wise error rate, in the order
/// given. Holm 1979.
std::vector<double> holmCorrected(std::span<const double> values);

} // namespace kvloupe
