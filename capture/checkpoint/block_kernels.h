// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/tensor_types.h"

#include <cstddef>
#include <span>

namespace kvloupe {

/// Dequantises `blocks`, whole blocks for exactly `out.size()` values of one type (F32 is not among them), with the
/// widest vectors of the machine. The caller has checked the sizes.
void unpackBlocks(DataType type, std::span<const std::byte> blocks, std::span<float> out);

/// Whether none is infinite or NaN.
bool areFinite(std::span<const float> values);

} // namespace kvloupe
