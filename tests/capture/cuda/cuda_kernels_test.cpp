// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/cuda_kernels.h"
#include "device_arrays.h"
#include "host_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace kvloupe::cuda {
namespace {

std::size_t at(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

TEST(DeviceFacts, OfThisMachineAreReadWithoutAnException)
{
    const DeviceFacts facts = deviceFacts();
    EXPECT_GE(facts.runtimeVersion, 12000);
    const std::string why = whyUnsupported(facts);
    EXPECT_EQ(why.empty(), facts.devices > 0 && facts.computeMajor >= 8) << why;
}

/// Everything that a launch gives, on a device or on the CPU.
struct Outputs {
    std::vector<float> numbers;
    std::vector<std::uint16_t> halves;
    std::vector<int> kept;
};

template <typename Element> Outputs run(AttentionKernels& kernels, int dim, int window)
{
    constexpr int heads = 4;
    constexpr int kvHeads = 2;
    constexpr int rows = 300;
    std::mt19937_64 random(1);
    std::normal_distribution<float> normal;
    const auto vectors = [&](int count) {
        std::vector<Element> values(at(rows * count * dim));
        for (Element& x : values)
            x = fromFloat<Element>(normal(random));
        return values;
    };
    DeviceArrays memory(kernels);
    AttentionInput<Element> input;
    input.queries = memory.make(vectors(heads));
    input.keys = memory.make(vectors(kvHeads));
    input.values = memory.make(vectors(kvHeads));
    input.queryHeadStride = input.keyHeadStride = input.valueHeadStride = dim;
    input.queryRowStride = heads * dim;
    input.keyRowStride = input.valueRowStride = kvHeads * dim;
    input.rows = rows;
    input.window = window;
    input.headsPerKvHead = heads / kvHeads;
    input.scale = 1.0F / std::sqrt(static_cast<float>(dim));

    const std::vector<float> perRow(at(heads * rows));
    const int blockRows = kernels.blockRows(dim, std::is_same_v<Element, float>);
    const int edge = (rows + 3) / 4;
    const std::int64_t tiles = MapTiles(window).before(2);
    AttentionOutput<Element> output;
    output.context = memory.make(std::vector<Element>(at(heads * rows * dim)));
    output.contextHeadStride = dim;
    output.contextRowStride = heads * dim;
    output.logSumExp = memory.make(perRow);
    output.entropy = memory.make(perRow);
    output.sinkMass = memory.make(perRow);
    output.maximum = memory.make(perRow);
    output.columnSumParts = memory.make(std::vector<float>(at(heads * ((rows + blockRows - 1) / blockRows) * rows)));
    output.pooledMaximum = memory.make(std::vector<float>(at(heads * edge * edge)));
    output.pooledSum = memory.make(std::vector<float>(at(heads * edge * edge)));
    output.poolFactor = 4;
    output.mapTiles = memory.make(std::vector<std::uint16_t>(at(heads * tiles * mapTileEdge * mapTileEdge)));
    output.mapTilesPerHead = tiles;
    output.blocks = 2 * mapTileEdge / blockRows;
    float* columnSums = memory.make(perRow);
    kernels.record(dim, input, output, heads);
    kernels.reduceColumnSums({output.columnSumParts, columnSums, rows, 0, window, blockRows}, heads);

    const int coarse = (rows + 15) / 16;
    auto* maximum = memory.make(std::vector<std::uint16_t>(at(heads * coarse * coarse)));
    auto* mean = memory.make(std::vector<std::uint16_t>(at(heads * coarse * coarse)));
    kernels.poolMaps({output.pooledMaximum, output.pooledSum, 4, 16, rows, window, maximum, mean}, heads);
    float* cells = memory.make(std::vector<float>(at(100 * 160)));
    kernels.cells(dim, input, {output.logSumExp, 1, 150, 100, 64, 160, cells, 160}, 1);

    const std::vector<int> counts{10, 0, 300, 123};
    const std::vector<std::int64_t> offsets{0, 10, 10, 310};
    int* kept = memory.make(std::vector<int>(433, -1));
    kernels.selectBest({columnSums, rows, memory.make(counts), memory.make(offsets), kept}, heads);

    Outputs result;
    for (const float* array : {output.logSumExp, output.entropy, output.sinkMass, output.maximum, columnSums})
        memory.append(result.numbers, array, perRow.size());
    memory.append(result.numbers, static_cast<const float*>(cells), 100 * 160);
    std::vector<Element> context;
    memory.append(context, static_cast<const Element*>(output.context), at(heads * rows * dim));
    if constexpr (std::is_same_v<Element, float>)
        result.numbers.insert(result.numbers.end(), context.begin(), context.end());
    memory.append(result.halves, static_cast<const std::uint16_t*>(output.mapTiles),
        at(heads * tiles * mapTileEdge * mapTileEdge));
    memory.append(result.halves, static_cast<const std::uint16_t*>(maximum), at(heads * coarse * coarse));
    memory.append(result.halves, static_cast<const std::uint16_t*>(mean), at(heads * coarse * coarse));
    memory.append(result.kept, static_cast<const int*>(kept), 433);
    return result;
}

template <typename Element> void expectSameAsOnTheCpu(int dim, int window)
{
    const auto device = makeCudaKernels(nullptr);
    HostKernels host;
    const Outputs found = run<Element>(*device, dim, window);
    const Outputs expected = run<Element>(host, dim, window);
    ASSERT_EQ(found.numbers.size(), expected.numbers.size());
    for (std::size_t i = 0; i < found.numbers.size(); ++i)
        ASSERT_NEAR(found.numbers[i], expected.numbers[i], 1e-5F * std::max(0.1F, std::abs(expected.numbers[i]))) << i;
    ASSERT_EQ(found.halves.size(), expected.halves.size());
    for (std::size_t i = 0; i < found.halves.size(); ++i)
        ASSERT_LE(std::abs(int{found.halves[i]} - int{expected.halves[i]}), 1) << i;
    if (std::is_same_v<Element, float>) {
        EXPECT_EQ(found.kept, expected.kept);
    }
    const Outputs again = run<Element>(*device, dim, window);
    EXPECT_EQ(found.numbers, again.numbers);
    EXPECT_EQ(found.halves, again.halves);
    EXPECT_EQ(found.kept, again.kept);
}

/// Tokens gathered out of a prompt, edited, and looked at: contexts and weights of three lists, and what the first
/// holds.
template <typename Element> std::vector<float> runLists(AttentionKernels& kernels, int dim)
{
    using Input = ListsInput<Element>;
    constexpr int prompt = 700;
    constexpr int kvHeads = 2;
    std::mt19937_64 random(3);
    std::normal_distribution<float> normal;
    const auto draw = [&]<typename T>(std::int64_t count, T) {
        std::vector<T> values(at(count));
        for (T& x : values)
            x = fromFloat<T>(normal(random));
        return values;
    };
    Memory memory(kernels);
    const auto* vectors = reinterpret_cast<const unsigned char*>(memory.make(draw(prompt * kvHeads * dim, Element())));
    const auto bytes = static_cast<int>(at(dim) * sizeof(Element));
    const std::vector<std::pair<int, int>> slotsAndHeads{{272, 2}, {32, 9}, {608, 4}};
    std::vector<TokenList<Element>> lists;
    std::vector<ListPart> parts;
    std::vector<Element*> keysOf;
    for (const auto& [slots, heads] : slotsAndHeads) {
        std::vector<int> kept(at(slots));
        for (int i = 0; i < slots; ++i)
            kept[at(i)] = i * prompt / slots;
        const int* keptThere = memory.make(kept);
        const int* counts = memory.make(std::vector<int>{slots});
        const std::int64_t* offsets = memory.make(std::vector<std::int64_t>{0});
        const auto gathered = [&](int head) {
            auto* out = memory.make(std::vector<Element>(at(slots * dim)));
            kernels.gatherKept({vectors + head * bytes, bytes, bytes * kvHeads, bytes, counts, offsets, keptThere,
                                   reinterpret_cast<unsigned char*>(out)},
                1, slots);
            return out;
        };
        keysOf.push_back(gathered(0));
        std::vector<std::uint32_t> masked(at((slots + 31) / 32), 0x00100004U);
        masked.back() |= slots % 32 != 0 ? ~0U << (slots % 32) : 0U;
        lists.push_back({keysOf.back(), gathered(1), memory.make(masked), memory.make(draw(heads * dim, float())),
            memory.make(std::vector<float>(at(heads * dim))), memory.make(std::vector<float>(at(heads * slots))), slots,
            heads, static_cast<int>(parts.size())});
        for (int head = 0; head < heads; head += Input::partHeads)
            for (int slot = 0; slot < slots; slot += Input::partSlots)
                parts.push_back({static_cast<int>(lists.size()) - 1, slot, head});
    }

    TokenEdits<Element> edits{};
    edits.keys = keysOf.front();
    edits.values = const_cast<Element*>(lists.front().values);
    edits.cameAs = memory.make(draw(272 * dim, Element()));
    edits.shifts = memory.make(std::vector<int>(272, -3));
    edits.frequencies = memory.make(std::vector<float>(at(dim / 2), 0.37F));
    edits.numbers = memory.make(draw(2 * dim, float()));
    const std::vector<TokenEdit> noted{{TokenEdit::Move, 5, 200, 0, 2, 0}, {TokenEdit::Move, 6, 201, 0, 2, 0},
        {TokenEdit::Turn, 0, -1, 0xff0fU, 4, 0}, {TokenEdit::Turn, 16, -1, 0xffffU, 4, 0},
        {TokenEdit::Put, 200, 0, 0, 5, 0}};
    edits.edits = memory.make(noted);
    edits.count = static_cast<int>(noted.size());
    kernels.editTokens(dim, memory.make(std::vector<TokenEdits<Element>>{edits}), 1);

    float* numbers = memory.make(std::vector<float>(parts.size() * at(Input::partHeads * (dim + 2))));
    const auto places = static_cast<std::int64_t>(parts.size()) * Input::partHeads;
    kernels.attendLists(dim,
        Input{memory.make(lists), memory.make(parts), numbers, numbers + places, numbers + 2 * places,
            static_cast<int>(lists.size()), static_cast<int>(parts.size()), 9, 0.11F});
    std::vector<float> result;
    for (const TokenList<Element>& list : lists) {
        memory.append(result, static_cast<const float*>(list.context), at(list.heads * dim));
        memory.append(result, static_cast<const float*>(list.weights), at(list.heads * list.slots));
    }
    std::vector<Element> keys;
    memory.append(keys, static_cast<const Element*>(keysOf.front()), at(272 * dim));
    for (const Element key : keys)
        result.push_back(widen(key));
    return result;
}

template <typename Element> void expectSameListsAsOnTheCpu(int dim)
{
    const auto device = makeCudaKernels(nullptr);
    HostKernels host;
    const std::vector<float> found = runLists<Element>(*device, dim);
    const std::vector<float> expected = runLists<Element>(host, dim);
    // A key that is turned may round to the neighbour where sine and cosine differ in their last bit.
    const float bound = std::is_same_v<Element, float> ? 1e-5F : 1e-2F;
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
        ASSERT_NEAR(found[i], expected[i], bound * std::max(0.1F, std::abs(expected[i]))) << i;
    EXPECT_EQ(found, runLists<Element>(*device, dim));
}

TEST(CudaKernels, ComputeListsAsTheirProgramsDoOnTheCpu)
{
    if (const std::string why = whyUnsupported(deviceFacts()); !why.empty())
        GTEST_SKIP() << why;
    for (const int dim : {64, 80, 96, 128, 256}) {
        SCOPED_TRACE(dim);
        expectSameListsAsOnTheCpu<float>(dim);
        expectSameListsAsOnTheCpu<Bfloat16>(dim);
        expectSameListsAsOnTheCpu<Float16>(dim);
    }
}

/// The test of the test: what the launches are compared with runs here, and gives numbers.
TEST(CudaKernels, WhatListsAreComparedWithIsFinite)
{
    HostKernels host;
    for (const float x : runLists<Bfloat16>(host, 64))
        ASSERT_TRUE(std::isfinite(x));
}

TEST(CudaKernels, ComputeWhatTheirProgramsDoOnTheCpu)
{
    if (const std::string why = whyUnsupported(deviceFacts()); !why.empty())
        GTEST_SKIP() << why;
    for (const int dim : {64, 80, 96, 128, 256}) {
        SCOPED_TRACE(dim);
        expectSameAsOnTheCpu<float>(dim, 0);
        expectSameAsOnTheCpu<Bfloat16>(dim, 0);
        expectSameAsOnTheCpu<Bfloat16>(dim, 90);
    }
}

} // namespace
} // namespace kvloupe::cuda
