// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/token_edits_block.h"

#include <cmath>
#include <cstddef>
#include <vector>

namespace kvloupe::cuda {

/// Edits of every kind that depend on each other, of a list of at least 21 slots whose page 0 has keys to turn.
inline std::vector<TokenEdit> dependentEdits()
{
    return {
        {TokenEdit::Turn, 0, -2, 1U << 3 | 1U << 4, 1, 0},
        {TokenEdit::Put, 20, 0, 0, 2, 0},
        {TokenEdit::Move, 5, 20, 0, 4, 0},
        {TokenEdit::Move, 6, 3, 0, 4, 0},
        {TokenEdit::Turn, 0, 7, 1U << 6, 5, 0},
    };
}

/// Of RoPE with base 10,000, radians per position.
inline std::vector<float> ropeFrequencies(int dim)
{
    std::vector<float> frequencies(static_cast<std::size_t>(dim) / 2);
    for (std::size_t i = 0; i < frequencies.size(); ++i)
        frequencies[i] = std::pow(10000.0F, -static_cast<float>(i) / static_cast<float>(frequencies.size()));
    return frequencies;
}

} // namespace kvloupe::cuda
