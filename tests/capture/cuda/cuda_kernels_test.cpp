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
