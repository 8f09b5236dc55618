// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/swiglu.h"

#include <cmath>
#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "capture/model/swiglu.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kvloupe::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

void gatedUnits(const float* gate, const float* up, float* out, std::size_t size)
{
    const hn::ScalableTag<float> d;
    const auto one = hn::Set(d, 1.0F);
    const auto largest = hn::Set(d, 88.0F); // e^88 is finite in float32, and silu(-88) is 0 to 36 digits
    std::size_t i = 0;
    for (; i + hn::Lanes(d) <= size; i += hn::Lanes(d)) {
        const auto x = hn::LoadU(d, gate + i);
        const auto denominator = hn::Add(one, hn::Exp(d, hn::Min(hn::Neg(x), largest)));
        hn::StoreU(hn::Mul(hn::Div(x, denominator), hn::LoadU(d, up + i)), d, out + i);
    }
    for (; i < size; ++i)
        out[i] = gate[i] / (1.0F + std::exp(-gate[i])) * up[i];
}

} // namespace kvloupe::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kvloupe {

HWY_EXPORT(gatedUnits);

void swiglu(std::span<const float> gate, std::span<const float> up, std::span<float> out)
{
    HWY_DYNAMIC_DISPATCH(gatedUnits)(gate.data(), up.data(), out.data(), out.size());
}

} // namespace kvloupe
#endif
