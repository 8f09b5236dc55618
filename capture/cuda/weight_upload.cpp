// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/weight_upload.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace kvloupe::cuda {

namespace {

constexpr std::size_t header = 256; // the first number of it is what the kernel lowers; blocks stay aligned
constexpr std::uint32_t allFinite = 0xffffffffU;

} // namespace

WeightUpload::WeightUpload(AttentionKernels& kernels, std::size_t pieceBytes)
    : m_kernels(kernels)
    , m_pieceBytes(pieceBytes)
{
}

WeightUpload::~WeightUpload()
{
    release();
}

template <typename Element>
void WeightUpload::send(DataType type, std::size_t bytes, std::int64_t values, Element* out,
    const std::function<void(std::span<std::byte>)>& read, Refuse refuse)
{
    Stage& stage = m_stages[m_next];
    m_next = 1 - m_next;
    finish(stage);
    if (stage.bytes < bytes)
        reserve(stage, std::max(bytes, m_pieceBytes));
    read(std::span(stage.host + header, bytes));
    std::memcpy(stage.host, &allFinite, sizeof allFinite);
    stage.refuse = std::move(refuse);
    stage.onItsWay = true;
    m_kernels.beginCopyToDevice(stage.device, stage.host, header + bytes);
    auto* const found = reinterpret_cast<std::uint32_t*>(stage.device);
    m_kernels.dequantize(type,
        DequantizationInput<Element>{reinterpret_cast<const std::uint8_t*>(stage.device + header), values, out, found});
    m_kernels.beginCopyToHost(stage.found, found, sizeof *found);
    stage.done->record();
}

void WeightUpload::finish()
{
    finish(m_stages[m_next]); // the older one
    finish(m_stages[1 - m_next]);
}

void WeightUpload::finish(Stage& stage)
{
    if (!stage.onItsWay)
        return;
    stage.done->wait();
    stage.onItsWay = false;
    if (*stage.found != allFinite)
        stage.refuse(*stage.found);
}

void WeightUpload::reserve(Stage& stage, std::size_t bytes)
{
    if (stage.host != nullptr)
        m_kernels.freePinned(std::exchange(stage.host, nullptr));
    if (stage.device != nullptr)
        m_kernels.free(std::exchange(stage.device, nullptr));
    stage.bytes = 0;
    stage.host = static_cast<std::byte*>(m_kernels.allocatePinned(header + bytes));
    std::memset(stage.host, 0, header);
    stage.device = static_cast<std::byte*>(m_kernels.allocate(header + bytes));
    if (stage.found == nullptr)
        stage.found = static_cast<std::uint32_t*>(m_kernels.allocatePinned(sizeof *stage.found));
    if (!stage.done)
        stage.done = m_kernels.makeEvent();
    stage.bytes = bytes;
}

/// Copies are waited for: memory must not go while the device reads or writes it.
void WeightUpload::release() noexcept
{
    for (Stage& stage : m_stages) {
        try {
            if (stage.onItsWay) {
                stage.done->record(); // where a launch has failed, it was not recorded
                stage.done->wait();
            }
        } catch (...) { // a device that has failed touches no memory any more
        }
        if (stage.host != nullptr)
            m_kernels.freePinned(stage.host);
        if (stage.found != nullptr)
            m_kernels.freePinned(stage.found);
        if (stage.device != nullptr)
            m_kernels.free(stage.device);
    }
}

template void WeightUpload::send(
    DataType, std::size_t, std::int64_t, float*, const std::function<void(std::span<std::byte>)>&, Refuse);
template void WeightUpload::send(
    DataType, std::size_t, std::int64_t, Bfloat16*, const std::function<void(std::span<std::byte>)>&, Refuse);
template void WeightUpload::send(
    DataType, std::size_t, std::int64_t, Float16*, const std::function<void(std::span<std::byte>)>&, Refuse);

} // namespace kvloupe::cuda
