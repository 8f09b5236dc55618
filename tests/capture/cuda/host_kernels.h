// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/attention_dispatch.h"
#include "capture/cuda/attention_kernels.h"
#include "capture/cuda/attention_record_block.h"
#include "capture/cuda/layer_recorder.h"
#include "host_warp.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <map>

namespace kvloupe::cuda {

/// The kernels' programs on the CPU, with a device memory of a given size.
class HostKernels final : public AttentionKernels {
public:
    explicit HostKernels(std::size_t memory = std::size_t{1} << 30)
        : m_left(memory)
    {
    }

    void record(int headDim, const AttentionInput<float>& i, const AttentionOutput<float>& o, int heads) override
    {
        recordOnHost(headDim, i, o, heads);
    }
    void record(int headDim, const AttentionInput<Bfloat16>& i, const AttentionOutput<Bfloat16>& o, int heads) override
    {
        recordOnHost(headDim, i, o, heads);
    }
    void record(int, const AttentionInput<Float16>&, const AttentionOutput<Float16>&, int) override { std::abort(); }
    void cells(int headDim, const AttentionInput<float>& i, const CellsRequest<float>& r, int heads) override
    {
        cellsOnHost(headDim, i, r, heads);
    }
    void cells(int headDim, const AttentionInput<Bfloat16>& i, const CellsRequest<Bfloat16>& r, int heads) override
    {
        cellsOnHost(headDim, i, r, heads);
    }
    void cells(int, const AttentionInput<Float16>&, const CellsRequest<Float16>&, int) override { std::abort(); }
    void reduceColumnSums(const ColumnSumParts& input, int heads) override
    {
        runGrid<Nothing>({blocksFor(input.past + input.rows), heads, 1}, 1, false,
            [&](HostWarp& warp, Nothing&) { addColumnSumParts(warp, input); });
    }
    void poolMaps(const PooledMapsInput& input, int heads) override
    {
        const int edge = (input.tokens + input.factor - 1) / input.factor;
        runGrid<Nothing>(
            {blocksFor(edge), edge, heads}, 1, false, [&](HostWarp& warp, Nothing&) { finishPooledMaps(warp, input); });
    }
    void selectBest(const SelectionInput& input, int sets) override
    {
        runGrid<SelectionShared>({sets, 1, 1}, SelectionShared::warps, false,
            [&](HostWarp& warp, SelectionShared& shared) { selectTop(warp, input, shared); });
    }
    void attendLists(int headDim, const ListsInput<float>& input) override { attendOnHost(headDim, input); }
    void attendLists(int headDim, const ListsInput<Bfloat16>& input) override { attendOnHost(headDim, input); }
    void attendLists(int headDim, const ListsInput<Float16>& input) override { attendOnHost(headDim, input); }
    void editTokens(int headDim, const TokenEdits<float>* lists, int count) override
    {
        editOnHost(headDim, lists, count);
    }
    void editTokens(int headDim, const TokenEdits<Bfloat16>* lists, int count) override
    {
        editOnHost(headDim, lists, count);
    }
    void editTokens(int headDim, const TokenEdits<Float16>* lists, int count) override
    {
        editOnHost(headDim, lists, count);
    }
    void gatherKept(const GatherInput& input, int heads, int largestCount) override
    {
        runGrid<Nothing>(
            {largestCount, heads, 1}, 1, false, [&](HostWarp& warp, Nothing&) { gatherVectors(warp, input); });
    }
    void dequantize(DataType type, const DequantizationInput<float>& i) override { dequantizeOnHost(type, i); }
    void dequantize(DataType type, const DequantizationInput<Bfloat16>& i) override { dequantizeOnHost(type, i); }
    void dequantize(DataType type, const DequantizationInput<Float16>& i) override { dequantizeOnHost(type, i); }
    int blockRows(int headDim, bool singlePrecision) const override
    {
        return singlePrecision ? rowsOf<float>(headDim) : rowsOf<Bfloat16>(headDim);
    }

    void* allocate(std::size_t bytes) override
    {
        ++allocations;
        if (bytes > m_left)
            throw DeviceMemoryError("the device is full");
        m_left -= bytes;
        void* memory = std::malloc(bytes);
        std::memset(memory, 0xff, bytes);
        m_sizes[memory] = bytes;
        return memory;
    }
    void free(void* memory) noexcept override
    {
        ++frees;
        m_left += m_sizes.at(memory);
        m_sizes.erase(memory);
        std::free(memory);
    }
    void copyToHost(void* host, const void* device, std::size_t bytes) override { std::memcpy(host, device, bytes); }
    void copyToDevice(void* device, const void* host, std::size_t bytes) override { std::memcpy(device, host, bytes); }

    void* allocatePinned(std::size_t bytes) override
    {
        void* memory = std::malloc(bytes);
        std::memset(memory, 0xff, bytes);
        m_pinned[memory] = bytes;
        return memory;
    }
    void freePinned(void* memory) noexcept override
    {
        for (const Copy& copy : m_copies)
            EXPECT_FALSE(copy.isIn(memory, m_pinned.at(memory))) << "memory went that a copy uses";
        m_pinned.erase(memory);
        std::free(memory);
    }
    /// Arrives when an event after it is waited for, and reads as NaN until then.
    void beginCopyToHost(void* pinned, const void* device, std::size_t bytes) override
    {
        const auto* from = static_cast<const std::byte*>(device);
        m_copies.push_back({static_cast<std::byte*>(pinned), {from, from + bytes}, true});
        std::memset(pinned, 0xff, bytes);
    }
    /// What is copied from has to be the same when an event after it is waited for.
    void beginCopyToDevice(void* device, const void* pinned, std::size_t bytes) override
    {
        auto* from = static_cast<std::byte*>(const_cast<void*>(pinned));
        std::memcpy(device, pinned, bytes);
        m_copies.push_back({from, {from, from + bytes}, false});
    }
    std::unique_ptr<DeviceEvent> makeEvent() override { return std::make_unique<Event>(*this); }
    bool isIdle() const { return m_copies.empty() && m_pinned.empty() && m_sizes.empty(); }

    int allocations = 0;
    int frees = 0;
    std::vector<int> launchedHeads; ///< of every launch of record()

private:
    struct Nothing { };

    struct Copy {
        std::byte* host;
        std::vector<std::byte> bytes;
        bool toHost;

        bool isIn(const void* memory, std::size_t size) const
        {
            const auto* begin = static_cast<const std::byte*>(memory);
            return host >= begin && host < begin + size;
        }
    };

    class Event final : public DeviceEvent {
    public:
        explicit Event(HostKernels& kernels)
            : m_kernels(kernels)
        {
        }
        void record() override { m_copies = m_kernels.m_finished + m_kernels.m_copies.size(); }
        void wait() override { m_kernels.finishCopies(m_copies); }

    private:
        HostKernels& m_kernels;
        std::size_t m_copies = 0; // that were begun before it
    };

    /// The first `end` that were ever begun.
    void finishCopies(std::size_t end)
    {
        for (; m_finished < end; ++m_finished) {
            const Copy& copy = m_copies.front();
            if (copy.toHost)
                std::memcpy(copy.host, copy.bytes.data(), copy.bytes.size());
            else
                EXPECT_EQ(std::memcmp(copy.host, copy.bytes.data(), copy.bytes.size()), 0) << "changed on its way";
            m_copies.pop_front();
        }
    }

    template <typename Element> void dequantizeOnHost(DataType type, const DequantizationInput<Element>& input)
    {
        const auto blocks = static_cast<int>((input.values + 127) / 128);
        withDataType(type, [&](auto constant) {
            runGrid<Nothing>({blocks, 1, 1}, 1, false,
                [&](HostWarp& warp, Nothing&) { dequantizeBlocks<decltype(constant)::value>(warp, input); });
        });
    }

    static int blocksFor(int lanes) { return (lanes + warpLanes - 1) / warpLanes; }

    template <typename Element> static int rowsOf(int headDim)
    {
        return withTiling<Element>(headDim, [](auto tiling) { return decltype(tiling)::blockRows; });
    }

    template <typename Element>
    void recordOnHost(
        int headDim, const AttentionInput<Element>& input, const AttentionOutput<Element>& output, int heads)
    {
        launchedHeads.push_back(heads);
        withTiling<Element>(headDim, [&](auto tiling) {
            using Tiling = decltype(tiling);
            runGrid<typename Tiling::Shared>(
                {output.blocks, heads, 1}, Tiling::warps, false, [&](HostWarp& warp, typename Tiling::Shared& shared) {
                    AttentionBlock<HostWarp, Tiling>(warp, input, output, shared).run();
                });
        });
    }

    template <typename Element>
    void cellsOnHost(int headDim, const AttentionInput<Element>& input, const CellsRequest<Element>& request, int heads)
    {
        withTiling<Element>(headDim, [&](auto tiling) {
            using Tiling = decltype(tiling);
            runGrid<typename Tiling::Shared>({(request.rows + Tiling::blockRows - 1) / Tiling::blockRows,
                                                 (request.columns + Tiling::keys - 1) / Tiling::keys, heads},
                Tiling::warps, false, [&](HostWarp& warp, typename Tiling::Shared& shared) {
                    attentionCells<Tiling>(warp, input, request, shared);
                });
        });
    }

    template <typename Element> void attendOnHost(int headDim, const ListsInput<Element>& input)
    {
        withTiling<Element>(headDim, [&](auto tiling) {
            constexpr int dim = decltype(tiling)::headDim;
            runGrid<ListShared<dim>>({input.partCount, 1, 1}, ListShared<dim>::warps, false,
                [&](HostWarp& warp, ListShared<dim>& shared) { attendListPart(warp, input, shared); });
            runGrid<Nothing>({input.listCount, input.largestHeads, 1}, 1, false,
                [&](HostWarp& warp, Nothing&) { finishList<dim>(warp, input); });
        });
    }

    template <typename Element> void editOnHost(int headDim, const TokenEdits<Element>* lists, int count)
    {
        runGrid<Nothing>(
            {count, 1, 1}, 2, false, [&](HostWarp& warp, Nothing&) { cuda::editTokens(warp, lists, headDim); });
    }

    std::size_t m_left;
    std::map<void*, std::size_t> m_sizes;
    std::map<void*, std::size_t> m_pinned;
    std::deque<Copy> m_copies; // on their way
    std::size_t m_finished = 0;
};

} // namespace kvloupe::cuda
