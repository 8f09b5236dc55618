// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/row_statistics.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Float array aligned for the widest SIMD unit (64 bytes); uninitialised when created, never copied by accident.
class AlignedFloats {
public:
    AlignedFloats() = default;
    explicit AlignedFloats(std::size_t size);
    ~AlignedFloats();
    AlignedFloats(AlignedFloats&& other) noexcept;
    AlignedFloats& operator=(AlignedFloats&& other) noexcept;

    float* data() { return m_data; }
    const float* data() const { return m_data; }
    std::size_t size() const { return m_size; }
    std::span<float> span() { return {m_data, m_size}; }
    std::span<const float> span() const { return {m_data, m_size}; }

private:
    float* m_data = nullptr;
    std::size_t m_size = 0;
};

/// Keys of one KV head repacked so that 16 neighbouring keys lie together per dimension: what the kernels read.
/// Memory: n * headDim floats (rounded up to 16 keys). Grows by append while decoding.
class PackedKeys {
public:
    explicit PackedKeys(int headDim);
    /// `keys`: [n, headDim], row-major.
    PackedKeys(std::span<const float> keys, int headDim);

    void append(std::span<const float> keys);
    std::int64_t size() const { return m_size; }
    int headDim() const { return m_headDim; }
    const float* panel(std::int64_t index) const
    {
        return m_panels.data() + static_cast<std::size_t>(index) * panelKeys * static_cast<std::size_t>(m_headDim);
    }

    static constexpr std::int64_t panelKeys = 16;

private:
    int m_headDim = 0;
    std::int64_t m_size = 0;
    AlignedFloats m_panels;
};

/// Geometry of one attention: cell (query q, key k) exists if k <= q and, with a window, k > q - window.
struct AttentionShape {
    float scale = 1.0F; ///< softmax scale, 1 / sqrt(head_dim) in most models
    std::int64_t window = 0; ///< 0 = global
};

/// Turns queries and keys into rows and tiles of the post-softmax map, A[q, k] = exp(scale * Q[q].K[k] - lse[q]),
/// float32.
///
/// The one routine behind the forward pass, the replay and the window. A cell is the same bit pattern however the rows
/// are cut into blocks. Pure functions: any number of threads.
namespace attention_rows {

/// Softmax rows of queries [rows, headDim] at positions queryBegin, queryBegin + 1, ...: `probabilities` is
/// [rows, stride] with stride >= queryBegin + rows rounded up to 16; in each row the columns after the query's own up
/// to queryBegin + rows (rounded up to 16) are set to 0, and so are those before the window. `statistics`: [rows].
void softmaxRows(std::span<const float> queries, const PackedKeys& keys, std::int64_t queryBegin, std::int64_t rows,
    const AttentionShape& shape, std::span<float> probabilities, std::int64_t stride,
    std::span<RowStatistics> statistics);

/// Softmax rows of queries [rows, headDim] over all keys, as if there were no causal mask (what KVCache-Factory's H2O
/// summed). `probabilities` is [rows, stride] with stride >= keys.size() rounded up to 16; columns after the last key
/// are 0.
void unmaskedRows(std::span<const float> queries, const PackedKeys& keys, std::int64_t rows, float scale,
    std::span<float> probabilities, std::int64_t stride);

/// Cells of rows [queryBegin, +rows) and columns [keyBegin, +columns) from recorded log-sum-exps ([rows]); `out` is
/// [rows, columns] row-major; cells outside the causal window are 0. keyBegin is a multiple of 16.
void tile(std::span<const float> queries, const PackedKeys& keys, std::int64_t queryBegin, std::int64_t rows,
    std::int64_t keyBegin, std::int64_t columns, const AttentionShape& shape, std::span<const float> logSumExp,
    std::span<float> out);

} // namespace attention_rows

} // namespace kvloupe
