// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace kvloupe {

/// Rows of a row-major float32 matrix; `stride` is the distance of rows in floats, >= the row length.
template <typename Float> struct Rows {
    Float* data = nullptr;
    std::int64_t count = 0;
    std::int64_t stride = 0;
};

/// y = x W^T + b: weight [outputs, inputs], float32, owned by LibTorch. Const calls are thread-safe; each of them is
/// one single-threaded matrix product, callers split the work.
class Linear {
public:
    Linear();
    Linear(std::int64_t outputs, std::int64_t inputs, bool hasBias);
    ~Linear();
    Linear(Linear&& other) noexcept;
    Linear& operator=(Linear&& other) noexcept;

    std::int64_t outputs() const { return m_outputs; }
    std::int64_t inputs() const { return m_inputs; }
    /// Uninitialised until filled: [outputs, inputs].
    std::span<float> weight();
    std::span<const float> weight() const;
    std::span<const float> weightRow(std::int64_t output) const; ///< [inputs]
    std::span<float> bias(); ///< [outputs], empty without one
    std::span<const float> bias() const;

    /// Outputs [begin, end) of every row: y [rows, end - begin] = x [rows, inputs] W[begin:end]^T + b[begin:end].
    void apply(Rows<const float> x, std::int64_t begin, std::int64_t end, Rows<float> y) const;
    /// The same, added to what y holds (the residual stream).
    void addTo(Rows<const float> x, std::int64_t begin, std::int64_t end, Rows<float> y) const;

    /// What inputs [inputBegin, inputBegin + inputs) alone contribute, without the bias: y [rows, outputs] from x
    /// [rows, inputs].
    void applyInputs(Rows<const float> x, std::int64_t inputBegin, std::int64_t inputs, Rows<float> y) const;

private:
    void multiply(Rows<const float> x, std::int64_t begin, std::int64_t end, Rows<float> y, bool accumulate) const;

    struct Tensors;
    std::unique_ptr<Tensors> m_tensors;
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
