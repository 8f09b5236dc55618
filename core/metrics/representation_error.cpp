// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/representation_error.h"

#include <cmath>
#include <limits>
#include <numeric>

namespace kvloupe {

namespace {

void addWeighted(std::span<double> sum, std::span<const float> values, std::size_t token, double weight)
{
    const float* value = values.data() + token * sum.size();
    for (std::size_t i = 0; i < sum.size(); ++i)
        sum[i] += weight * static_cast<double>(value[i]);
}

void divide(std::span<double> sum, double mass)
{
    if (mass > 0.0)
        for (double& value : sum)
            value /= mass;
}

} // namespace

std::vector<double> attentionOutput(std::span<const float> row, std::span<const float> values, int dim)
{
    std::vector<double> output(static_cast<std::size_t>(dim), 0.0);
    for (std::size_t token = 0; token < row.size(); ++token)
        addWeighted(output, values, token, static_cast<double>(row[token]));
    divide(output, std::accumulate(row.begin(), row.end(), 0.0));
    return output;
}

double representationError(std::span<const float> row, std::span<const float> values, int dim,
    std::span<const std::int32_t> kept, std::span<const double> full)
{
    std::vector<double> output(static_cast<std::size_t>(dim), 0.0);
    double mass = 0.0;
    for (const std::int32_t index : kept) {
        const auto token = static_cast<std::size_t>(index);
        addWeighted(output, values, token, static_cast<double>(row[token]));
        mass += static_cast<double>(row[token]);
    }
    divide(output, mass);
    double difference = 0.0;
    double norm = 0.0;
    for (std::size_t i = 0; i < output.size(); ++i) {
        difference += (output[i] - full[i]) * (output[i] - full[i]);
        norm += full[i] * full[i];
    }
    if (norm == 0.0)
        return difference == 0.0 ? 0.0 : std::numeric_limits<double>::infinity();
    return std::sqrt(difference / norm);
}

} // namespace kvloupe
