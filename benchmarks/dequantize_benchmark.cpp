// SPDX-License-Identifier: GPL-3.0-or-later

// Bytes read and written per second when tensors are dequantised, without and with a look at whether all numbers are
// finite, beside memcpy of the same number of bytes written.

#include "capture/checkpoint/tensor_types.h"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace {

using namespace kvloupe;

constexpr std::size_t values = std::size_t{16} << 20; // 64 MB of float32, larger than caches

void dequantizing(benchmark::State& state, DataType type, bool checks)
{
    const std::size_t blocks = values / static_cast<std::size_t>(blockLength(type));
    std::vector<std::byte> in(blocks * static_cast<std::size_t>(blockBytes(type)));
    for (std::size_t i = 0; i < in.size(); ++i)
        in[i] = static_cast<std::byte>(i * 2654435761u >> 13 & 0x3f); // small scales, no NaN
    std::vector<float> out(values);
    for (auto _ : state) {
        if (checks)
            benchmark::DoNotOptimize(dequantizeFinite(type, in, out));
        else
            dequantize(type, in, out);
        benchmark::ClobberMemory();
    }
    const auto bytes = static_cast<std::int64_t>(in.size() + out.size() * sizeof(float));
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * bytes);
}

void copying(benchmark::State& state)
{
    const std::vector<float> in(values, 1.0f);
    std::vector<float> out(values);
    for (auto _ : state) {
        std::memcpy(out.data(), in.data(), values * sizeof(float));
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * 2 * values * sizeof(float)));
}

} // namespace

int main(int argc, char** argv)
{
    benchmark::Initialize(&argc, argv);
    benchmark::RegisterBenchmark("memcpy", copying);
    for (std::uint32_t number = 0; number < 64; ++number)
        if (const auto type = dataTypeOfGgml(number)) {
            const std::string name(dataTypeName(*type));
            benchmark::RegisterBenchmark(name.c_str(), dequantizing, *type, false);
            benchmark::RegisterBenchmark((name + ", all finite").c_str(), dequantizing, *type, true);
        }
    benchmark::RunSpecifiedBenchmarks();
}
