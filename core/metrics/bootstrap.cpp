// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/bootstrap.h"

#include "core/methods/random.h"
#include "core/metrics/distribution.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

std::size_t draw(const BootstrapOptions& options, int resample, int sampleDraw, int headDraw, int count)
{
    const auto number = randomScore(options.seed, static_cast<std::uint64_t>(resample),
        static_cast<std::uint64_t>(sampleDraw), static_cast<std::uint64_t>(headDraw));
    return static_cast<std::size_t>(static_cast<double>(number) * count);
}

/// How often each value, [samples, heads], was drawn.
std::vector<double> drawnTimes(int samples, int heads, int resample, const BootstrapOptions& options)
{
    std::vector<double> times(static_cast<std::size_t>(samples) * static_cast<std::size_t>(heads), 0.0);
    for (int sampleDraw = 0; sampleDraw < samples; ++sampleDraw) {
        const std::size_t sample = draw(options, resample, sampleDraw, 0, samples);
        for (int headDraw = 0; headDraw < heads; ++headDraw)
            times[sample * static_cast<std::size_t>(heads) + draw(options, resample, sampleDraw, headDraw + 1, heads)]
                += 1.0;
    }
    return times;
}

double weightedMean(std::span<const double> values, std::span<const double> weights)
{
    double sum = 0.0;
    double total = 0.0;
    for (std::size_t index = 0; index < values.size(); ++index)
        if (!std::isnan(values[index])) {
            sum += weights[index] * values[index];
            total += weights[index];
        }
    return sum / total;
}

} // namespace

std::vector<BootstrapMean> bootstrapMeans(
    std::span<const std::vector<double>> series, int samples, int heads, const BootstrapOptions& options)
{
    const auto resamples = static_cast<std::size_t>(options.resamples);
    std::vector<std::vector<double>> means(series.size(), std::vector<double>(resamples));
    tbb::parallel_for(0, options.resamples, [&](int resample) {
        const std::vector<double> times = drawnTimes(samples, heads, resample, options);
        for (std::size_t index = 0; index < series.size(); ++index)
            means[index][static_cast<std::size_t>(resample)] = weightedMean(series[index], times);
    });

    std::vector<BootstrapMean> result;
    for (std::size_t index = 0; index < series.size(); ++index) {
        std::vector<double>& drawn = means[index];
        std::erase_if(drawn, [](double mean) { return std::isnan(mean); }); // drew nothing but missing values
        std::ranges::sort(drawn);
        const double tail = (1.0 - options.confidence) / 2.0;
        const std::vector<double> once(series[index].size(), 1.0);
        result.push_back({weightedMean(series[index], once), quantile(drawn, tail), quantile(drawn, 1.0 - tail)});
    }
    return result;
}

} // namespace kvloupe
