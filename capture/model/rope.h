// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/rope_variant.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Rotary position embedding, half-split layout (Su et al. 2021, arXiv 2104.09864; the layout of Hugging Face).
///
/// Angles are products of float32 frequencies and positions, as transformers computes them: a more exact angle would
/// differ from what the models are run with by 1e-4 after a few thousand tokens.
class RopeTable {
public:
    /// Row i is at positions[i] of a text of textTokens[i] tokens so far, which is what scaled frequencies depend on.
    RopeTable(
        const RopeVariant& rope, std::span<const std::int64_t> positions, std::span<const std::int64_t> textTokens);
    /// Turns by `positions` of vectors that were turned before: amplitude 1. `frequencies`: radians per position,
    /// [head_dim / 2].
    RopeTable(std::span<const float> frequencies, std::span<const std::int64_t> positions);

    std::int64_t rows() const { return m_rows; }
    std::span<const float> cosines(std::int64_t row) const { return slice(m_cosines, row); } ///< [head_dim / 2]
    std::span<const float> sines(std::int64_t row) const { return slice(m_sines, row); } ///< [head_dim / 2]

private:
    RopeTable(std::size_t rows, std::size_t half);
    void fillRow(std::size_t row, std::span<const float> frequencies, std::int64_t position, double amplitude);

    std::span<const float> slice(const std::vector<float>& table, std::int64_t row) const
    {
        return std::span(table).subspan(static_cast<std::size_t>(row) * m_half, m_half);
    }

    std::int64_t m_rows;
    std::size_t m_half;
    std::vector<float> m_cosines; // [n, head_dim / 2]
    std::vector<float> m_sines; // [n, head_dim / 2]
};

/// Rotates one vector [head_dim]; with x = (a, b) in halves: out = (a cos - b sin, b cos + a sin). `out` may be
/// `vector`.
void applyRope(
    std::span<const float> vector, std::span<const float> cosines, std::span<const float> sines, std::span<float> out);

} // namespace kvloupe
