// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace kvloupe {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t fewPairs = 25; // below: all binomial terms are exact doubles, and cheap

/// 2 * P(X <= smaller) of a fair coin, at most 1.
double twoSidedBinomial(std::int64_t smaller, std::int64_t pairs)
{
    double term = 1.0;
    double sum = 1.0;
    for (std::int64_t k = 1; k <= smaller; ++k) {
        term = term * static_cast<double>(pairs - k + 1) / static_cast<double>(k);
        sum += term;
    }
    return std::min(1.0, 2.0 * std::ldexp(sum, -static_cast<int>(pairs)));
}

} // namespace

Interval wilsonInterval(double successes, std::int64_t trials, double z)
{
    if (trials <= 0)
        return {nan, nan};
    const auto n = static_cast<double>(trials);
    const double share = successes / n;
    const double scale = 1.0 / (1.0 + z * z / n);
    const double centre = scale * (share + z * z / (2.0 * n));
    const double half = scale * z * std::sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n));
    return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

double relativeDrop(double compressed, double base)
{
    return base == 0.0 ? nan : (compressed - base) / base;
}

std::string_view pairedTestName(PairedTest test)
{
    return test == PairedTest::Exact ? "exact" : "corrected";
}

McNemar mcnemarTest(std::int64_t lost, std::int64_t gained)
{
    const std::int64_t pairs = lost + gained;
    if (pairs == 0)
        return {};
    if (pairs < fewPairs)
        return {twoSidedBinomial(std::min(lost, gained), pairs), PairedTest::Exact};
    const double excess = std::max(0.0, std::abs(static_cast<double>(lost - gained)) - 1.0);
    const double statistic = excess * excess / static_cast<double>(pairs);
    // The upper tail of chi-squared with one degree of freedom is that of a squared normal variable.
    return {std::erfc(std::sqrt(statistic / 2.0)), PairedTest::Corrected};
}

std::vector<double> holmCorrected(std::span<const double> values)
{
    std::vector<std::size_t> ascending(values.size());
    std::iota(ascending.begin(), ascending.end(), std::size_t{0});
    std::ranges::stable_sort(ascending, {}, [&](std::size_t index) { return values[index]; });
    std::vector<double> corrected(values.size());
    double largest = 0.0;
    for (std::size_t rank = 0; rank < ascending.size(); ++rank) {
        const double scaled = values[ascending[rank]] * static_cast<double>(values.size() - rank);
        largest = std::min(1.0, std::max(largest, scaled));
        corrected[ascending[rank]] = largest;
    }
    return corrected;
}

} // namespace kvloupe
