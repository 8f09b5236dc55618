// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>

namespace kvloupe {

/// IEEE binary16 as bits. Conversions round to nearest even, keep infinities and NaN, and are exact to float.
using Half = std::uint16_t;

float halfToFloat(Half value);
Half floatToHalf(float value);

/// Whole arrays, with the widest SIMD unit of the machine; both spans have the same size.
void halvesToFloats(std::span<const Half> halves, std::span<float> floats);
void floatsToHalves(std::span<const float> floats, std::span<Half> halves);

} // namespace kvloupe
