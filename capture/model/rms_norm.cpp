// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/rms_norm.h"

#include <cmath>
#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "capture/model/rms_norm.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kvloupe::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

float sumOfSquares(const float* x, std::size_t size)
{
    const hn::ScalableTag<float> d;
    auto sums = hn::Zero(d);
    std::size_t i = 0;
    for (; i + hn::Lanes(d) <= size; i += hn::Lanes(d)) {
        const auto value = hn::LoadU(d, x + i);
        sums = hn::MulAdd(value, value, sums);
    }
    float sum = hn::GetLane(hn::SumOfLanes(d, sums));
    for (; i < size; ++i)
        sum += x[i] * x[i];
    return sum;
}

void scaleByGain(const float* x, const float* gain, float factor, float* out, std::size_t size)
{
    const hn::ScalableTag<float> d;
    const auto factors = hn::Set(d, factor);
    std::size_t i = 0;
    for (; i + hn::Lanes(d) <= size; i += hn::Lanes(d))
        hn::StoreU(hn::Mul(hn::LoadU(d, gain + i), hn::Mul(hn::LoadU(d, x + i), factors)), d, out + i);
    for (; i < size; ++i)
        out[i] = gain[i] * (x[i] * factor);
}

} // namespace kvloupe::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kvloupe {

HWY_EXPORT(sumOfSquares);
HWY_EXPORT(scaleByGain);

bool rmsNorm(std::span<const float> x, std::span<const float> gain, double epsilon, std::span<float> out)
{
    const float sum = HWY_DYNAMIC_DISPATCH(sumOfSquares)(x.data(), x.size());
    const double mean = static_cast<double>(sum) / static_cast<double>(x.size());
    const auto factor = static_cast<float>(1.0 / std::sqrt(mean + epsilon));
    HWY_DYNAMIC_DISPATCH(scaleByGain)(x.data(), gain.data(), factor, out.data(), x.size());
    return std::isfinite(sum);
}

} // namespace kvloupe
#endif
