// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/row_sparsity.h"

#include "core/recording/recording_types.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace kvloupe {

namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t tops = RowOrder::topCounts.size();

double valueAt(const std::vector<float>& values, std::size_t index)
{
    return values.empty() ? unknown : static_cast<double>(values[index]);
}

void add(RowSparsity& sum, const RowSparsity& row)
{
    sum.entropy += row.entropy;
    sum.effectiveKeys += row.effectiveKeys;
    sum.gini += row.gini;
    for (std::size_t top = 0; top < tops; ++top)
        sum.topMass[top] += row.topMass[top];
    sum.sinkMass += row.sinkMass;
    sum.maximum += row.maximum;
}

RowSparsity divided(RowSparsity sum, double count)
{
    for (double* value : {&sum.entropy, &sum.effectiveKeys, &sum.gini, &sum.sinkMass, &sum.maximum})
        *value /= count;
    for (double& mass : sum.topMass)
        mass /= count;
    return sum;
}

} // namespace

RowSparsity rowSparsity(std::span<const float> cells, std::int64_t firstVisible)
{
    RowSparsity result;
    for (const float cell : cells)
        if (cell > 0.0F)
            result.entropy -= static_cast<double>(cell) * std::log(static_cast<double>(cell));
    result.effectiveKeys = std::exp(result.entropy);
    const auto sinks = std::clamp<std::int64_t>(sinkTokens - firstVisible, 0, std::ssize(cells));
    result.sinkMass = std::accumulate(cells.begin(), cells.begin() + sinks, 0.0);
    result.maximum = cells.empty() ? 0.0 : static_cast<double>(*std::ranges::max_element(cells));
    std::vector<float> sorted(cells.begin(), cells.end());
    const RowOrder order = rowOrder(sorted);
    result.gini = static_cast<double>(order.gini);
    std::ranges::copy(order.topMass, result.topMass.begin());
    return result;
}

RowSparsity SparsitySeries::at(std::int64_t row) const
{
    const auto index = static_cast<std::size_t>(row);
    RowSparsity result;
    result.entropy = valueAt(entropy, index);
    result.effectiveKeys = std::exp(result.entropy);
    result.gini = valueAt(gini, index);
    for (std::size_t top = 0; top < tops; ++top)
        result.topMass[top] = valueAt(topMass, index * tops + top);
    result.sinkMass = valueAt(sinkMass, index);
    result.maximum = valueAt(maximum, index);
    return result;
}

RowSparsity SparsitySeries::mean(std::int64_t begin, std::int64_t end) const
{
    RowSparsity sum;
    for (std::int64_t row = begin; row < end; ++row)
        add(sum, at(row));
    return divided(sum, static_cast<double>(end - begin));
}

} // namespace kvloupe
