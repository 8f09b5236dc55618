// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/tensor_types.h"
#include "core/attention/attention_rows.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace kvloupe {

/// Rows of a row-major float32 matrix; `stride` is the distance of rows in floats, >= the row length.
template <typename Float> struct Rows {
    Float* data = nullptr;
    std::int64_t count = 0;
    std::int64_t stride = 0;
};

/// Rows of a StoredMatrix that are stored in one way, up to `end`.
struct StoredRun {
    std::int64_t end = 0;
    std::optional<DataType> type; ///< nothing: they are not stored as they are read (an adapter changes them)
};

/// A matrix [outputs, inputs] that stays where it is stored and is turned into float32 row by row, again at every use.
class StoredMatrix {
public:
    virtual ~StoredMatrix() = default;
    /// Rows [begin, end): `out` [end - begin, inputs]. Thread-safe.
    virtual void read(std::int64_t begin, std::int64_t end, std::span<float> out) const = 0;
    /// How row `begin` and those after it are stored.
    virtual StoredRun run(std::int64_t begin) const = 0;
    /// Rows [begin, end) of one run with a type, as they are stored; infinities and NaN are for the caller to find.
    /// Thread-safe.
    virtual void readStored(std::int64_t begin, std::int64_t end, std::span<std::byte> out) const = 0;
    /// Advice that all of it will be read soon.
    virtual void prefetch() const = 0;
    /// Gives back what memory earlier reads still hold.
    virtual void release() const = 0;
};

/// Some outputs of a Linear in memory: what products read. A view; every product is single-threaded.
struct LinearPiece {
    std::span<const float> weight; ///< [outputs, inputs]
    std::span<const float> bias; ///< [outputs], empty without one
    std::int64_t outputs = 0;
    std::int64_t inputs = 0;

    /// y [rows, outputs] = x [rows, inputs] W^T + b.
    void apply(Rows<const float> x, Rows<float> y) const;
    /// The same, added to what y holds (the residual stream).
    void addTo(Rows<const float> x, Rows<float> y) const;
    /// What inputs [inputBegin, inputBegin + count) alone contribute, without the bias: y [rows, outputs] from x
    /// [rows, count].
    void applyInputs(Rows<const float> x, std::int64_t inputBegin, std::int64_t count, Rows<float> y) const;
};

/// y = x W^T + b: weight [outputs, inputs] in float32, resident in memory or streamed from where it is stored. Const
/// calls are thread-safe; callers split the work into pieces.
class Linear {
public:
    Linear() = default;
    /// Resident, uninitialised until filled.
    Linear(std::int64_t outputs, std::int64_t inputs, bool hasBias);
    /// Streamed; the bias is resident.
    Linear(std::int64_t outputs, std::int64_t inputs, bool hasBias, std::unique_ptr<const StoredMatrix> stored);

    std::int64_t outputs() const { return m_outputs; }
    std::int64_t inputs() const { return m_inputs; }
    bool isStreamed() const { return m_stored != nullptr; }
    const StoredMatrix* stored() const { return m_stored.get(); } ///< null unless streamed
    std::span<float> weight() { return m_weight.span(); } ///< [outputs, inputs]; empty when streamed
    std::span<const float> weight() const { return m_weight.span(); }
    std::span<float> bias() { return m_bias.span(); } ///< [outputs], empty without one
    std::span<const float> bias() const { return m_bias.span(); }

    /// Outputs [begin, end): a view of the weight, or of `scratch`, which has room for scratchFloats(end - begin).
    LinearPiece piece(std::int64_t begin, std::int64_t end, std::span<float> scratch) const;
    std::int64_t scratchFloats(std::int64_t outputs) const { return isStreamed() ? outputs * m_inputs : 0; }
    /// Row `output` of the weight into `out` [inputs].
    void readRow(std::int64_t output, std::span<float> out) const;
    /// Advice that the weight will be read soon, or that it was read to its end; nothing for resident ones.
    void prefetch() const;
    void release() const;

private:
    AlignedFloats m_weight;
    AlignedFloats m_bias;
    std::unique_ptr<const StoredMatrix> m_stored;
    std::int64_t m_outputs = 0;
    std::int64_t m_inputs = 0;
};

/// Makes every product run on the calling thread alone, in LibTorch and in OpenBLAS: their own thread pools collapse
/// when anything else runs on the machine, and we split by rows and heads. A setting of the process, made once by
/// Transformer::load.
void useOneThreadPerProduct();

/// y [rows, columns] += a [rows, inner] b [inner, columns], on the calling thread; all row-major.
void addProduct(Rows<const float> a, std::int64_t inner, const float* b, std::int64_t columns, Rows<float> y);

} // namespace kvloupe
