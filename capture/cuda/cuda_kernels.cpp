// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/cuda_kernels.h"

#include "capture/cuda/attention_cells.h"
#include "capture/cuda/attention_record.h"
#include "capture/cuda/dequantization.h"
#include "capture/cuda/device_error.h"
#include "capture/cuda/layer_recorder.h"
#include "capture/cuda/list_attention.h"
#include "capture/cuda/pooled_maps.h"
#include "capture/cuda/selection.h"

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <utility>

namespace kvloupe::cuda {

namespace {

std::function<void()>& reclaimer()
{
    static std::function<void()> reclaim;
    return reclaim;
}

void* allocateOnDevice(std::size_t bytes)
{
    void* memory = nullptr;
    cudaError_t code = cudaMalloc(&memory, bytes);
    if (code == cudaErrorMemoryAllocation && reclaimer()) {
        cudaGetLastError();
        reclaimer()();
        code = cudaMalloc(&memory, bytes);
    }
    if (code == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        std::size_t free = 0;
        std::size_t total = 0;
        cudaMemGetInfo(&free, &total);
        throw DeviceMemoryError(fmt::format("device cuda: {:.1f} MiB are needed, {:.1f} of {:.1f} MiB are free",
            static_cast<double>(bytes) / 0x1p20, static_cast<double>(free) / 0x1p20,
            static_cast<double>(total) / 0x1p20));
    }
    requireSuccess(code, "device memory");
    return memory;
}

void* allocatePinnedOnHost(std::size_t bytes)
{
    void* memory = nullptr;
    requireSuccess(cudaMallocHost(&memory, bytes), "pinned memory");
    return memory;
}

class CudaEvent final : public DeviceEvent {
public:
    explicit CudaEvent(cudaStream_t stream)
        : m_stream(stream)
    {
        requireSuccess(cudaEventCreateWithFlags(&m_event, cudaEventDisableTiming | cudaEventBlockingSync), "event");
    }
    ~CudaEvent() override { cudaEventDestroy(m_event); }
    CudaEvent(const CudaEvent&) = delete;
    CudaEvent& operator=(const CudaEvent&) = delete;

    void record() override { requireSuccess(cudaEventRecord(m_event, m_stream), "event"); }
    void wait() override { requireSuccess(cudaEventSynchronize(m_event), "kernels or copies before an event"); }

private:
    cudaStream_t m_stream;
    cudaEvent_t m_event = nullptr;
};

class CudaKernels final : public AttentionKernels {
public:
    explicit CudaKernels(cudaStream_t stream)
        : m_stream(stream)
    {
    }

    void record(int dim, const AttentionInput<float>& i, const AttentionOutput<float>& o, int heads) override
    {
        recordAttention(dim, i, o, heads, m_stream);
    }
    void record(int dim, const AttentionInput<Bfloat16>& i, const AttentionOutput<Bfloat16>& o, int heads) override
    {
        recordAttention(dim, i, o, heads, m_stream);
    }
    void record(int dim, const AttentionInput<Float16>& i, const AttentionOutput<Float16>& o, int heads) override
    {
        recordAttention(dim, i, o, heads, m_stream);
    }
    void cells(int dim, const AttentionInput<float>& i, const CellsRequest<float>& r, int heads) override
    {
        computeCells(dim, i, r, heads, m_stream);
    }
    void cells(int dim, const AttentionInput<Bfloat16>& i, const CellsRequest<Bfloat16>& r, int heads) override
    {
        computeCells(dim, i, r, heads, m_stream);
    }
    void cells(int dim, const AttentionInput<Float16>& i, const CellsRequest<Float16>& r, int heads) override
    {
        computeCells(dim, i, r, heads, m_stream);
    }
    void reduceColumnSums(const ColumnSumParts& input, int heads) override
    {
        cuda::reduceColumnSums(input, heads, m_stream);
    }
    void poolMaps(const PooledMapsInput& input, int heads) override { cuda::poolMaps(input, heads, m_stream); }
    void selectBest(const SelectionInput& input, int sets) override { cuda::selectBest(input, sets, m_stream); }
    void attendLists(int dim, const ListsInput<float>& i) override { cuda::attendLists(dim, i, m_stream); }
    void attendLists(int dim, const ListsInput<Bfloat16>& i) override { cuda::attendLists(dim, i, m_stream); }
    void attendLists(int dim, const ListsInput<Float16>& i) override { cuda::attendLists(dim, i, m_stream); }
    void editTokens(int dim, const TokenEdits<float>* lists, int count) override
    {
        cuda::editTokens(dim, lists, count, m_stream);
    }
    void editTokens(int dim, const TokenEdits<Bfloat16>* lists, int count) override
    {
        cuda::editTokens(dim, lists, count, m_stream);
    }
    void editTokens(int dim, const TokenEdits<Float16>* lists, int count) override
    {
        cuda::editTokens(dim, lists, count, m_stream);
    }
    void gatherKept(const GatherInput& input, int heads, int largestCount) override
    {
        cuda::gatherKept(input, heads, largestCount, m_stream);
    }
    void dequantize(DataType type, const DequantizationInput<float>& input) override
    {
        dequantizeOnDevice(type, input, m_stream);
    }
    void dequantize(DataType type, const DequantizationInput<Bfloat16>& input) override
    {
        dequantizeOnDevice(type, input, m_stream);
    }
    void dequantize(DataType type, const DequantizationInput<Float16>& input) override
    {
        dequantizeOnDevice(type, input, m_stream);
    }
    int blockRows(int dim, bool singlePrecision) const override
    {
        return singlePrecision ? attentionBlockRows<float>(dim) : attentionBlockRows<Bfloat16>(dim);
    }

    void* allocate(std::size_t bytes) override { return allocateOnDevice(bytes); }
    void free(void* memory) noexcept override { cudaFree(memory); } // waits for launches that use it
    void copyToHost(void* host, const void* device, std::size_t bytes) override
    {
        requireSuccess(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, m_stream), "copy to the host");
        requireSuccess(cudaStreamSynchronize(m_stream), "copy to the host");
    }
    void copyToDevice(void* device, const void* host, std::size_t bytes) override
    {
        requireSuccess(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, m_stream), "copy to the device");
        requireSuccess(cudaStreamSynchronize(m_stream), "copy to the device");
    }

    void* allocatePinned(std::size_t bytes) override { return allocatePinnedOnHost(bytes); }
    void freePinned(void* memory) noexcept override { cudaFreeHost(memory); }
    void beginCopyToHost(void* pinned, const void* device, std::size_t bytes) override
    {
        requireSuccess(cudaMemcpyAsync(pinned, device, bytes, cudaMemcpyDeviceToHost, m_stream), "copy to the host");
    }
    void beginCopyToDevice(void* device, const void* pinned, std::size_t bytes) override
    {
        requireSuccess(cudaMemcpyAsync(device, pinned, bytes, cudaMemcpyHostToDevice, m_stream), "copy to the device");
    }
    std::unique_ptr<DeviceEvent> makeEvent() override { return std::make_unique<CudaEvent>(m_stream); }

private:
    cudaStream_t m_stream;
};

class CudaTransfer final : public TransferDevice {
public:
    explicit CudaTransfer(cudaStream_t compute)
        : m_compute(compute)
    {
        requireSuccess(cudaStreamCreateWithFlags(&m_copies, cudaStreamNonBlocking), "stream");
        requireSuccess(cudaEventCreateWithFlags(&m_computed, cudaEventDisableTiming), "event");
    }
    ~CudaTransfer() override
    {
        for (const auto& [slot, event] : m_events)
            cudaEventDestroy(event);
        cudaEventDestroy(m_computed);
        cudaStreamDestroy(m_copies);
    }
    CudaTransfer(const CudaTransfer&) = delete;
    CudaTransfer& operator=(const CudaTransfer&) = delete;

    void* allocateDevice(std::size_t bytes) override { return allocateOnDevice(bytes); }
    void* allocateHost(std::size_t bytes) override { return allocatePinnedOnHost(bytes); }
    void freeDevice(void* memory) noexcept override { cudaFree(memory); }
    void freeHost(void* memory) noexcept override { cudaFreeHost(memory); }

    void beginCopy(int slot, void* host, const void* device, std::size_t bytes) override
    {
        requireSuccess(cudaEventRecord(m_computed, m_compute), "event");
        requireSuccess(cudaStreamWaitEvent(m_copies, m_computed), "event");
        requireSuccess(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, m_copies), "copy to the host");
        requireSuccess(cudaEventRecord(eventOf(slot), m_copies), "event");
    }
    void waitForCopy(int slot) override { requireSuccess(cudaEventSynchronize(eventOf(slot)), "copy to the host"); }

private:
    cudaEvent_t eventOf(int slot)
    {
        const std::lock_guard lock(m_mutex);
        cudaEvent_t& event = m_events[slot];
        if (event == nullptr)
            requireSuccess(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
        return event;
    }

    cudaStream_t m_compute;
    cudaStream_t m_copies = nullptr;
    cudaEvent_t m_computed = nullptr;
    std::mutex m_mutex;
    std::map<int, cudaEvent_t> m_events;
};

} // namespace

DeviceFacts deviceFacts()
{
    DeviceFacts facts;
    cudaRuntimeGetVersion(&facts.runtimeVersion);
    if (cudaDriverGetVersion(&facts.driverVersion) != cudaSuccess)
        facts.driverVersion = 0;
    const cudaError_t code = cudaGetDeviceCount(&facts.devices);
    if (code != cudaSuccess) {
        facts.devices = 0;
        facts.error = cudaGetErrorString(code);
    }
    cudaDeviceProp properties{};
    if (facts.devices > 0 && cudaGetDeviceProperties(&properties, 0) == cudaSuccess) {
        facts.name = properties.name;
        facts.computeMajor = properties.major;
        facts.computeMinor = properties.minor;
    }
    cudaGetLastError();
    return facts;
}

void setMemoryReclaimer(std::function<void()> reclaim)
{
    reclaimer() = std::move(reclaim);
}

std::uint64_t freeMemoryOfDevice()
{
    std::size_t free = 0;
    std::size_t total = 0;
    requireSuccess(cudaMemGetInfo(&free, &total), "device memory");
    return free;
}

std::unique_ptr<AttentionKernels> makeCudaKernels(void* stream)
{
    return std::make_unique<CudaKernels>(static_cast<cudaStream_t>(stream));
}

std::unique_ptr<TransferDevice> makeCudaTransfer(void* stream)
{
    return std::make_unique<CudaTransfer>(static_cast<cudaStream_t>(stream));
}

} // namespace kvloupe::cuda
