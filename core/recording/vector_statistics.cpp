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
    constexpr std::int64_t rows = 4; // independent sums hide the latency of the multiply-add
    std::int64_t i = 0;
    for (; i + rows <= dim && dim % lanes == 0; i += rows) {
        for (std::int64_t j = 0; j < dim; j += lanes) {
            float* out = sums + i * dim + j;
            auto sum0 = hn::LoadU(d, out);
            auto sum1 = hn::LoadU(d, out + dim);
            auto sum2 = hn::LoadU(d, out + 2 * dim);
            auto sum3 = hn::LoadU(d, out + 3 * dim);
            for (std::int64_t t = 0; t < count; ++t) {
                const float* vector = vectors + t * dim;
                const auto columns = hn::LoadU(d, vector + j);
                sum0 = hn::MulAdd(hn::Set(d, vector[i]), columns, sum0);
                sum1 = hn::MulAdd(hn::Set(d, vector[i + 1]), columns, sum1);
                sum2 = hn::MulAdd(hn::Set(d, vector[i + 2]), columns, sum2);
                sum3 = hn::MulAdd(hn::Set(d, vector[i + 3]), columns, sum3);
            }
            hn::StoreU(sum0, d, out);
            hn::StoreU(sum1, d, out + dim);
            hn::StoreU(sum2, d, out + 2 * dim);
            hn::StoreU(sum3, d, out + 3 * dim);
        }
    }
    for (; i < dim; ++i) {
        for (std::int64_t j = 0; j < dim; ++j) {
            for (std::int64_t t = 0; t < count; ++t) {
                sums[i * dim + j] += vectors[t * dim + i] * vectors[t * dim + j];
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
