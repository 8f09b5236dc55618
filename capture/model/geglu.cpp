// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/geglu.h"

#include <cmath>
#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "capture/model/geglu.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kvloupe::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

void geluUnits(const float* gate, const float* up, float* out, std::size_t size)
{
    constexpr float slope = 0.7978845608028654F; // sqrt(2 / pi)
    constexpr float cubic = 0.044715F;
    const hn::ScalableTag<float> d;
    std::size_t i = 0;
    for (; i + hn::Lanes(d) <= size; i += hn::Lanes(d)) {
        const auto x = hn::LoadU(d, gate + i);
        const auto inner = hn::Mul(hn::Set(d, slope), hn::MulAdd(hn::Mul(hn::Mul(x, x), x), hn::Set(d, cubic), x));
        const auto gelu = hn::Mul(hn::Mul(hn::Set(d, 0.5F), x), hn::Add(hn::Set(d, 1.0F), hn::Tanh(d, inner)));
        hn::StoreU(hn::Mul(gelu, hn::LoadU(d, up + i)), d, out + i);
    }
    for (; i < size; ++i) {
        const float x = gate[i];
        out[i] = 0.5F * x * (1.0F + std::tanh(slope * (x + cubic * x * x * x))) * up[i];
    }
}

} // namespace kvloupe::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kvloupe {

HWY_EXPORT(geluUnits);

void geglu(std::span<const float> gate, std::span<const float> up, std::span<float> out)
{
    HWY_DYNAMIC_DISPATCH(geluUnits)(gate.data(), up.data(), out.data(), out.size());
}

} // namespace kvloupe
#endif
