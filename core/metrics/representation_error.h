// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// What a head hands on for one query: sum over tokens of row[k] / (sum of row) * values[k], [dim], in double.
/// `values`: [tokens, dim].
std::vector<double> attentionOutput(std::span<const float> row, std::span<const float> values, int dim);

/// How far the output of a head moves when only `kept` is seen: || A_S V - A V || / || A V ||, Euclidean.
///
/// A_S is the row over the kept tokens alone, divided by the mass it retains, as a softmax over a smaller cache gives
/// it; without any mass A_S V is 0 and the error 1. `full` = attentionOutput(row, values, dim); `kept`: indices into
/// the row. 0 if both outputs are 0.
double representationError(std::span<const float> row, std::span<const float> values, int dim,
    std::span<const std::int32_t> kept, std::span<const double> full);

} // namespace kvloupe
