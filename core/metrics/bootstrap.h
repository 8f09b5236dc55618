// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

struct BootstrapOptions {
    int resamples = 2000;
    double confidence = 0.95;
    std::uint64_t seed = 0;
};

/// A mean with its percentile interval; NaN without any value.
struct BootstrapMean {
    double mean = 0.0;
    double low = 0.0;
    double high = 0.0;
};

/// Means of values measured on heads of samples, with intervals for "other samples, other heads".
///
/// Two stages: samples are drawn with replacement, then for each drawn sample its heads anew; the statistic is the mean
/// over all drawn values, the interval the (1 - confidence) / 2 quantiles of it at both ends (percentile method). One
/// sample leaves only the variation between heads. Draws are hashes of seed, resample, draw and head, so results depend
/// neither on the number of threads nor on how many series there are, and all series of one call share them.
///
/// `series`: each [samples, heads], NaN = not measured (left out of its means). Parallel over resamples.
std::vector<BootstrapMean> bootstrapMeans(
    std::span<const std::vector<double>> series, int samples, int heads, const BootstrapOptions& options = {});

} // namespace kvloupe
