// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/linear.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/addmv.h>
#include <ATen/ops/empty.h>
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

} // namespace

struct Linear::Tensors {
    at::Tensor weight; // [outputs, inputs]
    at::Tensor bias; // [outputs], undefined without one
};

Linear::Linear() = default;
Linear::~Linear() = default;
Linear::Linear(Linear&& other) noexcept = default;
Linear& Linear::operator=(Linear&& other) noexcept = default;

Linear::Linear(std::int64_t outputs, std::int64_t inputs, bool hasBias)
    : m_tensors(std::make_unique<Tensors>())
    , m_outputs(outputs)
    , m_inputs(inputs)
{
    const c10::InferenceMode inference;
    m_tensors->weight = at::empty({outputs, inputs}, at::kFloat);
    if (hasBias)
        m_tensors->bias = at::empty({outputs}, at::kFloat);
}

std::span<float> Linear::weight()
{
    return {m_tensors->weight.data_ptr<float>(), static_cast<std::size_t>(m_outputs * m_inputs)};
}

std::span<const float> Linear::weight() const
{
    return {m_tensors->weight.data_ptr<float>(), static_cast<std::size_t>(m_outputs * m_inputs)};
}

std::span<const float> Linear::weightRow(std::int64_t output) const
{
    return {m_tensors->weight.data_ptr<float>() + output * m_inputs, static_cast<std::size_t>(m_inputs)};
}

std::span<float> Linear::bias()
{
    if (!m_tensors->bias.defined())
        return {};
    return {m_tensors->bias.data_ptr<float>(), static_cast<std::size_t>(m_outputs)};
}

std::span<const float> Linear::bias() const
{
    if (!m_tensors->bias.defined())
        return {};
    return {m_tensors->bias.data_ptr<float>(), static_cast<std::size_t>(m_outputs)};
}

void Linear::apply(Rows<const float> x, std::int64_t begin, std::int64_t end, Rows<float> y) const
{
    multiply(x, begin, end, y, false);
}

void Linear::addTo(Rows<const float> x, std::int64_t begin, std::int64_t end, Rows<float> y) const
{
    multiply(x, begin, end, y, true);
}

void Linear::multiply(Rows<const float> x, std::int64_t begin, std::int64_t end, Rows<float> y, bool accumulate) const
{
    const c10::InferenceMode inference; // a state of the thread, so it is set in every one
    const std::int64_t columns = end - begin;
    const at::Tensor weight = m_tensors->weight.narrow(0, begin, columns); // [columns, inputs]
    if (x.count == 1) {
        const at::Tensor input = viewOf(x.data, {m_inputs}, {1});
        at::Tensor output = at::from_blob(y.data, {columns}, at::kFloat);
        if (accumulate)
            at::addmv_out(output, output, weight, input);
        else
            at::mv_out(output, weight, input);
    } else {
        const at::Tensor input = viewOf(x.data, {x.count, m_inputs}, {x.stride, 1});
        at::Tensor output = at::from_blob(y.data, {x.count, columns}, {y.stride, 1}, at::kFloat);
        if (accumulate)
            at::addmm_out(output, output, input, weight.t());
        else
            at::mm_out(output, input, weight.t());
    }
    if (m_tensors->bias.defined()) {
        const float* bias = m_tensors->bias.data_ptr<float>() + begin;
        for (std::int64_t row = 0; row < x.count; ++row) {
            float* out = y.data + row * y.stride;
            for (std::int64_t i = 0; i < columns; ++i)
                out[i] += bias[i];
        }
    }
}

void Linear::applyInputs(Rows<const float> x, std::int64_t inputBegin, std::int64_t inputs, Rows<float> y) const
{
    const c10::InferenceMode inference;
    const at::Tensor input = viewOf(x.data, {x.count, inputs}, {x.stride, 1});
    at::Tensor output = at::from_blob(y.data, {x.count, m_outputs}, {y.stride, 1}, at::kFloat);
    at::mm_out(output, input, m_tensors->weight.narrow(1, inputBegin, inputs).t());
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
