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

RopeTable::RopeTable(std::size_t rows, std::size_t half)
    : m_rows(static_cast<std::int64_t>(rows))
    , m_half(half)
    , m_cosines(rows * half)
    , m_sines(rows * half)
{
}

RopeTable::RopeTable(
    const RopeVariant& rope, std::span<const std::int64_t> positions, std::span<const std::int64_t> textTokens)
    : RopeTable(positions.size(), rope.frequencies.size())
{
    std::vector<float> frequencies;
    for (std::size_t row = 0; row < positions.size(); ++row) {
        if (row == 0 || textTokens[row] != textTokens[row - 1])
            frequencies = rope.frequenciesOf(textTokens[row]);
        fillRow(row, frequencies, positions[row], rope.attentionScaling);
    }
}

RopeTable::RopeTable(std::span<const float> frequencies, std::span<const std::int64_t> positions)
    : RopeTable(positions.size(), frequencies.size())
{
    for (std::size_t row = 0; row < positions.size(); ++row)
        fillRow(row, frequencies, positions[row], 1.0);
}

void RopeTable::fillRow(std::size_t row, std::span<const float> frequencies, std::int64_t position, double amplitude)
{
    for (std::size_t i = 0; i < m_half; ++i) {
        const double angle = frequencies[i] * static_cast<float>(position);
        m_cosines[row * m_half + i] = static_cast<float>(std::cos(angle) * amplitude);
        m_sines[row * m_half + i] = static_cast<float>(std::sin(angle) * amplitude);
    }
}

void applyRope(
    std::span<const float> vector, std::span<const float> cosines, std::span<const float> sines, std::span<float> out)
{
    HWY_DYNAMIC_DISPATCH(rotate)(vector.data(), cosines.data(), sines.data(), out.data(), cosines.size());
}

} // namespace kvloupe
#endif
