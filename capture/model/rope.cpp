// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/rope.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "capture/model/rope.cpp"
#include <hwy/foreach_target.h> // IWYU pragma: keep

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace kvloupe::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

void rotate(const float* vector, const float* cosines, const float* sines, float* out, std::size_t half)
{
    const hn::ScalableTag<float> d;
    std::size_t i = 0;
    for (; i + hn::Lanes(d) <= half; i += hn::Lanes(d)) {
        const auto first = hn::LoadU(d, vector + i);
        const auto second = hn::LoadU(d, vector + half + i);
        const auto cosine = hn::LoadU(d, cosines + i);
        const auto sine = hn::LoadU(d, sines + i);
        hn::StoreU(hn::NegMulAdd(second, sine, hn::Mul(first, cosine)), d, out + i);
        hn::StoreU(hn::MulAdd(first, sine, hn::Mul(second, cosine)), d, out + half + i);
    }
    for (; i < half; ++i) {
        const float first = vector[i];
        const float second = vector[half + i];
        out[i] = first * cosines[i] - second * sines[i];
        out[half + i] = second * cosines[i] + first * sines[i];
    }
}

} // namespace kvloupe::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kvloupe {

HWY_EXPORT(rotate);

RopeTable::RopeTable(std::span<const double> inverseFrequencies, std::span<const std::int64_t> positions)
    : m_rows(static_cast<std::int64_t>(positions.size()))
    , m_half(inverseFrequencies.size())
    , m_cosines(positions.size() * m_half)
    , m_sines(positions.size() * m_half)
{
    // transformers rounds theta^(2i / d) to float32 and then its reciprocal; one rounding of the exact value can be one
    // unit in the last place off, which is 4e-5 radians after 700 tokens.
    std::vector<float> frequencies;
    frequencies.reserve(m_half);
    for (const double frequency : inverseFrequencies)
        frequencies.push_back(1.0F / static_cast<float>(1.0 / frequency));

    for (std::size_t row = 0; row < positions.size(); ++row) {
        const auto position = static_cast<float>(positions[row]);
        for (std::size_t i = 0; i < m_half; ++i) {
            const double angle = frequencies[i] * position;
            m_cosines[row * m_half + i] = static_cast<float>(std::cos(angle));
            m_sines[row * m_half + i] = static_cast<float>(std::sin(angle));
        }
    }
}

void applyRope(
    std::span<const float> vector, std::span<const float> cosines, std::span<const float> sines, std::span<float> out)
{
    HWY_DYNAMIC_DISPATCH(rotate)(vector.data(), cosines.data(), sines.data(), out.data(), cosines.size());
}

} // namespace kvloupe
#endif
