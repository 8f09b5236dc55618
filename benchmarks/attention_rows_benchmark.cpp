// SPDX-License-Identifier: GPL-3.0-or-later

// Rows and tiles from queries and keys, against the float32 matrix product of OpenBLAS on the same shapes, one thread.

#include "core/attention/attention_rows.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <cblas.h>

extern "C" void openblas_set_num_threads(int threads);

namespace {

using namespace kvloupe;

struct Head {
    Head(std::int64_t tokenCount, int dim)
        : tokens(tokenCount)
        , headDim(dim)
    {
        openblas_set_num_threads(1);
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        queries.resize(static_cast<std::size_t>(tokens * dim));
        keys.resize(queries.size());
        std::generate(queries.begin(), queries.end(), [&] { return normal(random); });
        std::generate(keys.begin(), keys.end(), [&] { return normal(random); });
        shape.scale = 1.0F / std::sqrt(static_cast<float>(dim));
    }

    std::int64_t tokens;
    int headDim;
    AttentionShape shape;
    std::vector<float> queries;
    std::vector<float> keys;
};

constexpr std::int64_t blockRows = 256;

/// Floating-point operations of the causal cells alone: what is useful.
double causalOperations(const Head& head)
{
    return static_cast<double>(head.tokens) * static_cast<double>(head.tokens + 1) * head.headDim;
}

void softmaxRows(benchmark::State& state)
{
    const Head head(state.range(0), static_cast<int>(state.range(1)));
    const PackedKeys keys(head.keys, head.headDim);
    const std::int64_t stride = (head.tokens + 15) / 16 * 16;
    AlignedFloats rows(static_cast<std::size_t>(blockRows * stride));
    std::vector<RowStatistics> statistics(blockRows);
    for ([[maybe_unused]] auto _ : state) {
        for (std::int64_t begin = 0; begin < head.tokens; begin += blockRows) {
            const std::int64_t count = std::min(blockRows, head.tokens - begin);
            attention_rows::softmaxRows(std::span(head.queries)
                                            .subspan(static_cast<std::size_t>(begin * head.headDim),
                                                static_cast<std::size_t>(count * head.headDim)),
                keys, begin, count, head.shape, rows.span(), stride, statistics);
        }
    }
    state.counters["FLOPS"] = benchmark::Counter(causalOperations(head), benchmark::Counter::kIsIterationInvariantRate);
}

void matrixProduct(benchmark::State& state)
{
    const Head head(state.range(0), static_cast<int>(state.range(1)));
    AlignedFloats rows(static_cast<std::size_t>(blockRows * head.tokens));
    double operations = 0;
    for ([[maybe_unused]] auto _ : state) {
        operations = 0;
        for (std::int64_t begin = 0; begin < head.tokens; begin += blockRows) {
            const auto count = static_cast<int>(std::min(blockRows, head.tokens - begin));
            const auto columns = static_cast<int>(begin) + count;
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, count, columns, head.headDim, 1.0F,
                head.queries.data() + begin * head.headDim, head.headDim, head.keys.data(), head.headDim, 0.0F,
                rows.data(), static_cast<int>(head.tokens));
            operations += 2.0 * count * columns * head.headDim;
        }
    }
    state.counters["FLOPS"] = benchmark::Counter(operations, benchmark::Counter::kIsIterationInvariantRate);
}

void tile(benchmark::State& state)
{
    const Head head(1024, static_cast<int>(state.range(0)));
    const PackedKeys keys(head.keys, head.headDim);
    const std::vector<float> logSumExp(blockRows, 3.0F);
    std::vector<float> cells(blockRows * blockRows);
    for ([[maybe_unused]] auto _ : state) {
        attention_rows::tile(std::span(head.queries).subspan(static_cast<std::size_t>(768 * head.headDim)), keys, 768,
            blockRows, 256, blockRows, head.shape, logSumExp, cells);
        benchmark::DoNotOptimize(cells.data());
    }
    state.counters["FLOPS"]
        = benchmark::Counter(2.0 * blockRows * blockRows * head.headDim, benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(softmaxRows)->ArgsProduct({{712, 2048, 4096}, {64, 128}})->Unit(benchmark::kMillisecond);
BENCHMARK(matrixProduct)->ArgsProduct({{712, 2048, 4096}, {64, 128}})->Unit(benchmark::kMillisecond);
BENCHMARK(tile)->Arg(64)->Arg(128)->Unit(benchmark::kMillisecond);

} // namespace

BENCHMARK_MAIN();
