// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>

namespace kvloupe {

/// Adds the columns of causal rows to `sums`, [columns]: row r of `rows` is at rows[r * stride] and counts up to its
/// own key, column firstQuery + r. `rows` begins at query `firstQuery`; cells after a row's own key are not read.
///
/// Eight neighbouring rows are added in float32, their sums in double. Runs at the speed of memory.
void addColumnSums(std::span<const float> rows, std::int64_t stride, std::int64_t firstQuery, std::int64_t rowCount,
    std::span<double> sums);

/// Adds `rowCount` rows to `sums`, [columns], row r at rows[r * stride]: each cell in double and in the order of the
/// rows, the bits of the plain loop.
void addRows(std::span<const float> rows, std::int64_t stride, std::int64_t rowCount, std::span<double> sums);

} // namespace kvloupe
