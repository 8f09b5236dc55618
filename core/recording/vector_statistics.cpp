// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/vector_statistics.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/recording/vector_statistics.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kvloupe::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// sums [dim, dim] += the sum of x x^T over the rows x of `vectors` [count, dim], in the order of the rows.
void addOuterProducts(const float* HWY_RESTRICT vectors, std::int64_t count, std::int64_t dim, float* HWY_RESTRICT sums)
{
    const hn::ScalableTag<float> d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    for (std::int64_t i = 0; i < dim; ++i) {
        float* row = sums + i * dim;
        std::int64_t j = 0;
        for (; j + lanes <= dim; j += lanes) {
            auto sum = hn::LoadU(d, row + j);
            for (std::int64_t t = 0; t < count; ++t) {
                sum = hn::MulAdd(hn::Set(d, vectors[t * dim + i]), hn::LoadU(d, vectors + t * dim + j), sum);
            }
            hn::StoreU(sum, d, row + j);
        }
        for (; j < dim; ++j) {
            for (std::int64_t t = 0; t < count; ++t) {
                row[j] += vectors[t * dim + i] * vectors[t * dim + j];
            }
        }
    }
}

} // namespace kvloupe::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace kvloupe {

HWY_EXPORT(addOuterProducts);

namespace {

constexpr std::int64_t statisticsFromPosition = 4;

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

} // namespace

std::vector<float> euclideanNorms(std::span<const float> vectors, std::int64_t dim)
{
    std::vector<float> norms(vectors.size() / index(dim));
    for (std::size_t i = 0; i < norms.size(); ++i) {
        const auto v = vectors.subspan(i * index(dim), index(dim));
        norms[i] = std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0F));
    }
    return norms;
}

QueryStatistics queryStatistics(
    std::span<const float> queries, std::int64_t heads, std::int64_t tokens, std::int64_t dim)
{
    QueryStatistics result{std::vector<float>(index(heads * dim)), std::vector<float>(index(heads * dim * dim))};
    const std::int64_t count = tokens - statisticsFromPosition;
    if (count <= 0) {
        return result;
    }
    tbb::parallel_for(std::int64_t{0}, heads, [&](std::int64_t h) {
        const auto head = queries.subspan(index((h * tokens + statisticsFromPosition) * dim), index(count * dim));
        std::vector<double> mean(index(dim));
        for (std::int64_t t = 0; t < count; ++t) {
            for (std::int64_t i = 0; i < dim; ++i) {
                mean[index(i)] += static_cast<double>(head[index(t * dim + i)]);
            }
        }
        const auto meanOut = std::span(result.mean).subspan(index(h * dim), index(dim));
        for (std::int64_t i = 0; i < dim; ++i) {
            meanOut[index(i)] = static_cast<float>(mean[index(i)] / static_cast<double>(count));
        }
        // Sums of 64 float products at a time, gathered in double: exact enough and quick enough to do for every head.
        constexpr std::int64_t run = 64;
        std::vector<double> sums(index(dim * dim));
        std::vector<float> partial(index(dim * dim));
        std::vector<float> centred(index(run * dim));
        for (std::int64_t begin = 0; begin < count; begin += run) {
            const std::int64_t tokensOfRun = std::min(run, count - begin);
            for (std::int64_t t = 0; t < tokensOfRun; ++t) {
                for (std::int64_t i = 0; i < dim; ++i) {
                    centred[index(t * dim + i)] = head[index((begin + t) * dim + i)] - meanOut[index(i)];
                }
            }
            std::fill(partial.begin(), partial.end(), 0.0F);
            HWY_DYNAMIC_DISPATCH(addOuterProducts)(centred.data(), tokensOfRun, dim, partial.data());
            std::transform(sums.begin(), sums.end(), partial.begin(), sums.begin(),
                [](double a, float b) { return a + static_cast<double>(b); });
        }
        float* out = result.covariance.data() + h * dim * dim;
        for (std::int64_t i = 0; i < dim; ++i) {
            for (std::int64_t j = 0; j < dim; ++j) {
                out[i * dim + j] = static_cast<float>(sums[index(i * dim + j)] / static_cast<double>(count));
            }
        }
    });
    return result;
}

} // namespace kvloupe

#endif
