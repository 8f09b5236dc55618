// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_cells_block.h"
#include "capture/cuda/attention_io.h"
#include "capture/cuda/dequantization_block.h"
#include "capture/cuda/list_kernels.h"
#include "capture/cuda/pooled_maps_block.h"

#include <cstddef>
#include <memory>

namespace kvloupe::cuda {

/// A point in the order of launches and copies, which the host can wait for.
class DeviceEvent {
public:
    virtual ~DeviceEvent() = default;
    virtual void record() = 0; ///< after everything that was launched or begun before
    virtual void wait() = 0; ///< for the point that was recorded last
};

/// The kernels that recording a layer needs, and memory for their results: on a GPU (cuda_kernels.h), or the same
/// programs on the CPU, which is how tests run everything but the launches. Pointers are the device's; launches may be
/// asynchronous, copies to the host wait for them.
class AttentionKernels : public ListKernels {
public:
    virtual void record(
        int headDim, const AttentionInput<float>& input, const AttentionOutput<float>& output, int heads)
        = 0;
    virtual void record(
        int headDim, const AttentionInput<Bfloat16>& input, const AttentionOutput<Bfloat16>& output, int heads)
        = 0;
    virtual void record(
        int headDim, const AttentionInput<Float16>& input, const AttentionOutput<Float16>& output, int heads)
        = 0;
    virtual void cells(int headDim, const AttentionInput<float>& input, const CellsRequest<float>& request, int heads)
        = 0;
    virtual void cells(
        int headDim, const AttentionInput<Bfloat16>& input, const CellsRequest<Bfloat16>& request, int heads)
        = 0;
    virtual void cells(
        int headDim, const AttentionInput<Float16>& input, const CellsRequest<Float16>& request, int heads)
        = 0;
    virtual void reduceColumnSums(const ColumnSumParts& input, int heads) = 0;
    virtual void poolMaps(const PooledMapsInput& input, int heads) = 0;
    virtual void selectBest(const SelectionInput& input, int sets) = 0;

    virtual void dequantize(DataType type, const DequantizationInput<float>& input) = 0;
    virtual void dequantize(DataType type, const DequantizationInput<Bfloat16>& input) = 0;
    virtual void dequantize(DataType type, const DequantizationInput<Float16>& input) = 0;

    virtual int blockRows(int headDim, bool singlePrecision) const = 0;

    virtual void* allocate(std::size_t bytes) = 0; ///< DeviceMemoryError if there is not enough
    virtual void free(void* memory) noexcept = 0;
    virtual void copyToHost(void* host, const void* device, std::size_t bytes) = 0;
    virtual void copyToDevice(void* device, const void* host, std::size_t bytes) = 0;

    virtual void* allocatePinned(std::size_t bytes) = 0; ///< on the host, for copies that are only begun
    virtual void freePinned(void* memory) noexcept = 0;
    /// In the order of launches. What is copied from and to stays as it is until an event after it was waited for.
    virtual void beginCopyToHost(void* pinned, const void* device, std::size_t bytes) = 0;
    virtual void beginCopyToDevice(void* device, const void* pinned, std::size_t bytes) = 0;
    virtual std::unique_ptr<DeviceEvent> makeEvent() = 0;
};

} // namespace kvloupe::cuda
