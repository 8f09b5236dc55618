// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/linear.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/addmv.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mv.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <cblas.h>

#include <algorithm>
#include <cstddef>

namespace kvloupe {

namespace {

/// A tensor over memory of ours that products only read.
at::Tensor viewOf(const float* data, at::IntArrayRef sizes, at::IntArrayRef strides)
{
    return at::from_blob(const_cast<float*>(data), sizes, strides, at::kFloat);
}

void multiply(const LinearPiece& piece, Rows<const float> x, Rows<float> y, bool accumulate)
{
    const c10::InferenceMode inference; // a state of the thread, so it is set in every one
    const at::Tensor weight = viewOf(piece.weight.data(), {piece.outputs, piece.inputs}, {piece.inputs, 1});
    if (x.count == 1) {
        const at::Tensor input = viewOf(x.data, {piece.inputs}, {1});
        at::Tensor output = at::from_blob(y.data, {piece.outputs}, at::kFloat);
        if (accumulate)
            at::addmv_out(output, output, weight, input);
        else
            at::mv_out(output, weight, input);
    } else {
        const at::Tensor input = viewOf(x.data, {x.count, piece.inputs}, {x.stride, 1});
        at::Tensor output = at::from_blob(y.data, {x.count, piece.outputs}, {y.stride, 1}, at::kFloat);
        if (accumulate)
            at::addmm_out(output, output, input, weight.t());
        else
            at::mm_out(output, input, weight.t());
    }
    if (piece.bias.empty())
        return;
    for (std::int64_t row = 0; row < x.count; ++row) {
        float* out = y.data + row * y.stride;
        for (std::size_t i = 0; i < piece.bias.size(); ++i)
            out[i] += piece.bias[i];
    }
}

} // namespace

Linear::Linear(std::int64_t outputs, std::int64_t inputs, bool hasBias)
    : m_weight(static_cast<std::size_t>(outputs * inputs))
    , m_bias(hasBias ? static_cast<std::size_t>(outputs) : 0)
    , m_outputs(outputs)
    , m_inputs(inputs)
{
}

Linear::Linear(std::int64_t outputs, std::int64_t inputs, bool hasBias, std::unique_ptr<const StoredMatrix> stored)
    : m_bias(hasBias ? static_cast<std::size_t>(outputs) : 0)
    , m_stored(std::move(stored))
    , m_outputs(outputs)
    , m_inputs(inputs)
{
}

LinearPiece Linear::piece(std::int64_t begin, std::int64_t end, std::span<float> scratch) const
{
    const auto size = static_cast<std::size_t>((end - begin) * m_inputs);
    LinearPiece result{weight(), bias(), end - begin, m_inputs};
    if (!result.bias.empty())
        result.bias = result.bias.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    if (isStreamed()) {
        m_stored->read(begin, end, scratch.first(size));
        result.weight = scratch.first(size);
    } else {
        result.weight = result.weight.subspan(static_cast<std::size_t>(begin * m_inputs), size);
    }
    return result;
}

void Linear::readRow(std::int64_t output, std::span<float> out) const
{
    if (isStreamed())
        m_stored->read(output, output + 1, out);
    else
        std::ranges::copy(piece(output, output + 1, {}).weight, out.begin());
}

void Linear::prefetch() const
{
    if (isStreamed())
        m_stored->prefetch();
}

void Linear::release() const
{
    if (isStreamed())
        m_stored->release();
}

void LinearPiece::apply(Rows<const float> x, Rows<float> y) const
{
    multiply(*this, x, y, false);
}

void LinearPiece::addTo(Rows<const float> x, Rows<float> y) const
{
    multiply(*this, x, y, true);
}

void LinearPiece::applyInputs(Rows<const float> x, std::int64_t inputBegin, std::int64_t count, Rows<float> y) const
{
    const c10::InferenceMode inference;
    const at::Tensor matrix = viewOf(weight.data() + inputBegin, {outputs, count}, {inputs, 1});
    at::Tensor output = at::from_blob(y.data, {x.count, outputs}, {y.stride, 1}, at::kFloat);
    at::mm_out(output, viewOf(x.data, {x.count, count}, {x.stride, 1}), matrix.t());
}

void useOneThreadPerProduct()
{
    at::set_num_threads(1);
    openblas_set_num_threads(1);
}

void addProduct(Rows<const float> a, std::int64_t inner, const float* b, std::int64_t columns, Rows<float> y)
{
    const auto size = [](std::int64_t value) { return static_cast<blasint>(value); };
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size(a.count), size(columns), size(inner), 1.0F, a.data,
        size(a.stride), b, size(columns), 1.0F, y.data, size(y.stride));
}

} // namespace kvloupe
