// SPDX-License-Identifier: GPL-3.0-or-later
//
// Time of attention with record on a GPU against what the hardware could do, and its correctness against a plain
// definition. Needs nvcc and nothing else; in the root of the repository:
//
//   nvcc -std=c++20 -O3 --expt-relaxed-constexpr -I. -arch=sm_90 -o cuda_attention_benchmark \
//       benchmarks/cuda_attention_benchmark.cu capture/cuda/attention_record_*.cu capture/cuda/column_sums.cu \
//       capture/cuda/pooled_maps.cu
//   ./cuda_attention_benchmark [heads] [kv heads] [tokens] [head_dim] [json]
//
// With the word json every time is a line of JSON (benchmarks/cuda_measure.py reads them).
// benchmarks/cuda_flash_attention.py times torch's flash attention on the same shape.

#include "capture/cuda/attention_record.h"
#include "capture/cuda/device_error.h"
#include "capture/cuda/map_tiles.h"
#include "capture/cuda/pooled_maps.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

using namespace kvloupe::cuda;

namespace {

template <typename T> class DeviceArray {
public:
    explicit DeviceArray(std::size_t size)
        : m_size(size)
    {
        requireSuccess(cudaMalloc(&m_data, std::max<std::size_t>(1, size) * sizeof(T)), "cudaMalloc");
    }
    explicit DeviceArray(const std::vector<T>& values)
        : DeviceArray(values.size())
    {
        requireSuccess(cudaMemcpy(m_data, values.data(), m_size * sizeof(T), cudaMemcpyHostToDevice), "copy");
    }
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;
    ~DeviceArray() { cudaFree(m_data); }

    T* data() const { return m_data; }
    std::size_t bytes() const { return m_size * sizeof(T); }
    /// NaN, whatever T is.
    void poison() { requireSuccess(cudaMemset(m_data, 0xff, bytes()), "cudaMemset"); }
    std::vector<T> fetch() const
    {
        std::vector<T> values(m_size);
        requireSuccess(cudaMemcpy(values.data(), m_data, bytes(), cudaMemcpyDeviceToHost), "copy");
        return values;
    }

private:
    T* m_data = nullptr;
    std::size_t m_size;
};

struct Shape {
    int heads;
    int kvHeads;
    int tokens;
    int headDim;
    int window = 0;
};

float widened(float x)
{
    return x;
}
float widened(Bfloat16 x)
{
    return __bfloat162float(__ushort_as_bfloat16(x.bits));
}
float widened(Float16 x)
{
    return __half2float(__ushort_as_half(x.bits));
}
template <typename Element> Element narrowed(float x)
{
    if constexpr (std::is_same_v<Element, float>)
        return x;
    else if constexpr (std::is_same_v<Element, Bfloat16>)
        return {__bfloat16_as_ushort(__float2bfloat16(x))};
    else
        return {__half_as_ushort(__float2half(x))};
}

template <typename Element> std::vector<Element> randomVectors(const Shape& shape, int heads, std::uint64_t seed)
{
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal;
    std::vector<Element> vectors(std::size_t(shape.tokens) * heads * shape.headDim);
    for (Element& x : vectors)
        x = narrowed<Element>(normal(random));
    return vectors;
}

/// One layer on the device: input, everything that is recorded, and the launches that make it.
template <typename Element> class Layer {
public:
    Layer(const Shape& shape, bool maps, bool statistics = true)
        : shape(shape)
        , hostQueries(randomVectors<Element>(shape, shape.heads, 1))
        , hostKeys(randomVectors<Element>(shape, shape.kvHeads, 2))
        , hostValues(randomVectors<Element>(shape, shape.kvHeads, 3))
        , queries(hostQueries)
        , keys(hostKeys)
        , values(hostValues)
        , context(hostQueries.size())
        , logSumExp(rows())
        , entropy(rows())
        , sinkMass(rows())
        , maximum(rows())
        , columnSums(rows())
        , parts(statistics ? std::size_t(shape.heads) * blocks() * shape.tokens : 0)
        , pooledMaximum(statistics ? std::size_t(shape.heads) * edge(poolFactor()) * edge(poolFactor()) : 0)
        , pooledSum(statistics ? std::size_t(shape.heads) * edge(poolFactor()) * edge(poolFactor()) : 0)
        , overviewMaximum(std::size_t(shape.heads) * edge(overviewFactor()) * edge(overviewFactor()))
        , overviewMean(std::size_t(shape.heads) * edge(overviewFactor()) * edge(overviewFactor()))
        , tiles(maps ? std::size_t(shape.heads) * tilesPerHead() * mapTileEdge * mapTileEdge : 0)
    {
        input.queries = queries.data();
        input.keys = keys.data();
        input.values = values.data();
        input.queryHeadStride = input.keyHeadStride = input.valueHeadStride = shape.headDim;
        input.queryRowStride = std::int64_t(shape.heads) * shape.headDim;
        input.keyRowStride = input.valueRowStride = std::int64_t(shape.kvHeads) * shape.headDim;
        input.rows = shape.tokens;
        input.window = shape.window;
        input.headsPerKvHead = shape.heads / shape.kvHeads;
        input.scale = 1.0F / std::sqrt(float(shape.headDim));
        output.context = context.data();
        output.contextHeadStride = shape.headDim;
        output.contextRowStride = input.queryRowStride;
        output.logSumExp = logSumExp.data();
        output.entropy = entropy.data();
        output.sinkMass = sinkMass.data();
        output.maximum = maximum.data();
        output.blocks = maps ? tileRows() * mapTileEdge / attentionBlockRows<Element>(shape.headDim) : blocks();
        if (statistics) {
            output.columnSumParts = parts.data();
            output.pooledMaximum = pooledMaximum.data();
            output.pooledSum = pooledSum.data();
            output.poolFactor = poolFactor();
        }
        if (maps) {
            output.mapTiles = tiles.data();
            output.mapTilesPerHead = tilesPerHead();
        }
    }

    void poison()
    {
        for (auto* array : {&logSumExp, &entropy, &sinkMass, &maximum, &columnSums, &parts, &pooledMaximum, &pooledSum})
            array->poison();
        for (auto* array : {&overviewMaximum, &overviewMean, &tiles})
            array->poison();
        context.poison();
    }

    void launch()
    {
        recordAttention(shape.headDim, input, output, shape.heads, nullptr);
        if (output.columnSumParts == nullptr)
            return;
        const ColumnSumParts sums{
            parts.data(), columnSums.data(), shape.tokens, 0, shape.window, attentionBlockRows<Element>(shape.headDim)};
        reduceColumnSums(sums, shape.heads, nullptr);
        const PooledMapsInput pooled{pooledMaximum.data(), pooledSum.data(), poolFactor(), overviewFactor(),
            shape.tokens, shape.window, overviewMaximum.data(), overviewMean.data()};
        poolMaps(pooled, shape.heads, nullptr);
    }

    /// Bytes that a launch has to write, whatever it does.
    double bytesWritten() const
    {
        return double(context.bytes()) + 5.0 * double(logSumExp.bytes()) + double(tiles.bytes())
            + double(overviewMaximum.bytes() + overviewMean.bytes());
    }

    int overviewFactor() const
    {
        int factor = 1;
        while (edge(factor) > 128)
            factor *= 2;
        return factor;
    }
    int poolFactor() const { return overviewFactor() >= 16 ? 16 : overviewFactor() >= 4 ? 4 : overviewFactor(); }
    int edge(int factor) const { return (shape.tokens + factor - 1) / factor; }
    int tileRows() const { return edge(mapTileEdge); }
    std::int64_t tilesPerHead() const { return MapTiles(shape.window).before(tileRows()); }
    int blocks() const { return edge(attentionBlockRows<Element>(shape.headDim)); }
    std::size_t rows() const { return std::size_t(shape.heads) * shape.tokens; }

    Shape shape;
    std::vector<Element> hostQueries;
    std::vector<Element> hostKeys;
    std::vector<Element> hostValues;
    DeviceArray<Element> queries;
    DeviceArray<Element> keys;
    DeviceArray<Element> values;
    DeviceArray<Element> context;
    DeviceArray<float> logSumExp;
    DeviceArray<float> entropy;
    DeviceArray<float> sinkMass;
    DeviceArray<float> maximum;
    DeviceArray<float> columnSums;
    DeviceArray<float> parts;
    DeviceArray<float> pooledMaximum;
    DeviceArray<float> pooledSum;
    DeviceArray<std::uint16_t> overviewMaximum;
    DeviceArray<std::uint16_t> overviewMean;
    DeviceArray<std::uint16_t> tiles;
    AttentionInput<Element> input;
    AttentionOutput<Element> output;
};

class Comparison {
public:
    Comparison(std::string title, double bound)
        : m_title(std::move(title))
        , m_bound(bound)
    {
    }
    void add(double found, double expected, double floor)
    {
        const double error = std::abs(found - expected) / std::max(std::abs(expected), floor);
        m_worst = std::isnan(error) ? INFINITY : std::max(m_worst, error);
    }
    bool report() const
    {
        const bool holds = m_worst <= m_bound;
        std::printf("  %-14s largest relative error %.2e, bound %.0e: %s\n", m_title.c_str(), m_worst, m_bound,
            holds ? "ok" : "WRONG");
        return holds;
    }

private:
    std::string m_title;
    double m_bound;
    double m_worst = 0.0;
};

/// Against the definition in double; all outputs begin as NaN, and a second launch must give the same bits.
template <typename Element> bool check(const Shape& shape, const char* type)
{
    std::printf("%s, %d heads over %d, %d tokens, head_dim %d, window %d\n", type, shape.heads, shape.kvHeads,
        shape.tokens, shape.headDim, shape.window);
    Layer<Element> layer(shape, true);
    layer.poison();
    layer.launch();
    requireSuccess(cudaDeviceSynchronize(), "attention");
    const auto logSumExp = layer.logSumExp.fetch();
    const auto entropy = layer.entropy.fetch();
    const auto sinkMass = layer.sinkMass.fetch();
    const auto maximum = layer.maximum.fetch();
    const auto columnSums = layer.columnSums.fetch();
    const auto context = layer.context.fetch();
    const auto tiles = layer.tiles.fetch();
    const auto overviewMean = layer.overviewMean.fetch();
    const auto overviewMaximum = layer.overviewMaximum.fetch();

    constexpr bool exact = std::is_same_v<Element, float>;
    const double bound = exact ? 1e-5 : 1e-3;
    Comparison rows("log-sum-exp", bound), entropies("entropy", bound), sinks("sink mass", bound),
        maxima("maximum", bound);
    Comparison sums("column sums", bound), cells("map cells", 1e-3), contexts("context", exact ? 1e-5 : 2e-2);
    Comparison means("overview mean", 2e-3), tops("overview max", 2e-3);
    const int n = shape.tokens;
    const int dim = shape.headDim;
    const MapTiles map(shape.window);
    const int factor = layer.overviewFactor();
    const int edge = layer.edge(factor);
    for (int h = 0; h < shape.heads; ++h) {
        const int kv = h / (shape.heads / shape.kvHeads);
        std::vector<double> sum(n), pooledSum(std::size_t(edge) * edge), pooledMaximum(pooledSum.size());
        std::vector<double> pooledCount(pooledSum.size());
        for (int q = 0; q < n; ++q) {
            const int first = shape.window > 0 ? std::max(0, q - shape.window + 1) : 0;
            std::vector<double> logits;
            for (int k = first; k <= q; ++k) {
                double dot = 0.0;
                for (int d = 0; d < dim; ++d)
                    dot += double(widened(layer.hostQueries[(std::size_t(q) * shape.heads + h) * dim + d]))
                        * double(widened(layer.hostKeys[(std::size_t(k) * shape.kvHeads + kv) * dim + d]));
                logits.push_back(dot * double(layer.input.scale));
            }
            const double largest = *std::max_element(logits.begin(), logits.end());
            double total = 0.0;
            for (const double logit : logits)
                total += std::exp(logit - largest);
            const double lse = largest + std::log(total);
            double rowEntropy = 0.0;
            double sink = 0.0;
            std::vector<double> expected(dim);
            const std::size_t row = std::size_t(h) * n + q;
            for (int k = first; k <= q; ++k) {
                const double p = std::exp(logits[k - first] - lse);
                rowEntropy -= p * (logits[k - first] - lse);
                sink += k < 4 ? p : 0.0;
                sum[k] += p;
                const std::size_t at = std::size_t(q / factor) * edge + k / factor;
                pooledSum[at] += p;
                pooledCount[at] += 1.0;
                pooledMaximum[at] = std::max(pooledMaximum[at], p);
                for (int d = 0; d < dim; ++d)
                    expected[d]
                        += p * double(widened(layer.hostValues[(std::size_t(k) * shape.kvHeads + kv) * dim + d]));
            }
            rows.add(logSumExp[row], lse, 1.0);
            entropies.add(entropy[row], rowEntropy, 0.1);
            sinks.add(sinkMass[row], sink, 1e-6);
            maxima.add(maximum[row], std::exp(largest - lse), 1e-6);
            for (int d = 0; d < dim; ++d)
                contexts.add(widened(context[(std::size_t(q) * shape.heads + h) * dim + d]), expected[d], 1.0);
            for (int k = map.firstColumn(q / mapTileEdge) * mapTileEdge; k < (q / mapTileEdge + 1) * mapTileEdge; ++k) {
                const std::int64_t tile = h * layer.tilesPerHead() + map.index(q / mapTileEdge, k / mapTileEdge);
                const std::size_t at
                    = (std::size_t(tile) * mapTileEdge + q % mapTileEdge) * mapTileEdge + k % mapTileEdge;
                const double p = k >= first && k <= q ? std::exp(logits[k - first] - lse) : 0.0;
                cells.add(widened(Float16{tiles[at]}), p, 6.1e-5);
            }
        }
        for (int k = 0; k < n; ++k)
            sums.add(columnSums[std::size_t(h) * n + k], sum[k], 1e-6);
        for (std::size_t i = 0; i < pooledSum.size(); ++i) {
            const std::size_t at = std::size_t(h) * edge * edge + i;
            means.add(
                widened(Float16{overviewMean[at]}), pooledCount[i] > 0 ? pooledSum[i] / pooledCount[i] : 0.0, 6.1e-5);
            tops.add(widened(Float16{overviewMaximum[at]}), pooledMaximum[i], 6.1e-5);
        }
    }
    bool good = true;
    for (const Comparison* comparison : {&rows, &entropies, &sinks, &maxima, &sums, &cells, &contexts, &means, &tops})
        good = comparison->report() && good;

    layer.poison();
    layer.launch();
    const auto sameBytes
        = [](const auto& a, const auto& b) { return std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0; };
    const bool same = sameBytes(logSumExp, layer.logSumExp.fetch()) && sameBytes(columnSums, layer.columnSums.fetch())
        && sameBytes(entropy, layer.entropy.fetch()) && sameBytes(context, layer.context.fetch())
        && sameBytes(tiles, layer.tiles.fetch()) && sameBytes(overviewMean, layer.overviewMean.fetch());
    std::printf("  second run: %s\n", same ? "the same bits" : "OTHER BITS");
    return good && same;
}

/// Median of the milliseconds of 20 calls, after three.
double median(const std::function<void()>& call)
{
    cudaEvent_t begin = nullptr;
    cudaEvent_t end = nullptr;
    requireSuccess(cudaEventCreate(&begin), "event");
    requireSuccess(cudaEventCreate(&end), "event");
    std::vector<float> times;
    for (int i = 0; i < 23; ++i) {
        requireSuccess(cudaEventRecord(begin), "event");
        call();
        requireSuccess(cudaEventRecord(end), "event");
        requireSuccess(cudaEventSynchronize(end), "launch");
        float milliseconds = 0.0F;
        requireSuccess(cudaEventElapsedTime(&milliseconds, begin, end), "event");
        if (i >= 3)
            times.push_back(milliseconds);
    }
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

double writeBandwidth()
{
    const DeviceArray<char> array(std::size_t{4} << 30);
    return double(array.bytes()) / 1e6
        / median([&] { requireSuccess(cudaMemsetAsync(array.data(), 1, array.bytes()), "cudaMemset"); });
}

template <typename Element> void measure(const Shape& shape, const char* type, double gigabytesPerSecond, bool json)
{
    for (const int kind : {0, 1, 2}) {
        Layer<Element> layer(shape, kind == 2, kind > 0);
        const double milliseconds = median([&] { layer.launch(); });
        const double floor = layer.bytesWritten() / 1e6 / gigabytesPerSecond;
        const double pairs = 0.5 * double(shape.tokens) * (double(shape.tokens) + 1.0) * shape.heads;
        if (json) {
            std::printf("{\"type\": \"%s\", \"record\": \"%s\", \"milliseconds\": %.6g, \"written_bytes\": %.17g, "
                        "\"write_bytes_per_second\": %.6g}\n",
                type,
                kind == 0       ? "rows"
                    : kind == 1 ? "qk"
                                : "full",
                milliseconds, layer.bytesWritten(), gigabytesPerSecond * 1e9);
            continue;
        }
        std::printf(
            "%-8s %-28s %8.3f ms, %6.1f TFLOP/s as flash attention counts, writes %8.1f MB: %6.2f times as long as "
            "writing alone\n",
            type,
            kind == 0       ? "attention, row statistics"
                : kind == 1 ? "qk (all statistics)"
                            : "full (statistics and maps)",
            milliseconds, 4.0 * pairs * shape.headDim / 1e9 / milliseconds, layer.bytesWritten() / 1e6,
            milliseconds / floor);
    }
}

} // namespace

int main(int argc, char** argv)
{
    try {
        const bool json = argc > 1 && std::string(argv[argc - 1]) == "json";
        argc -= json ? 1 : 0;
        const auto argument = [&](int i, int otherwise) { return argc > i ? std::atoi(argv[i]) : otherwise; };
        const Shape shape{argument(1, 32), argument(2, 8), argument(3, 8192), argument(4, 128)};
        cudaDeviceProp device{};
        requireSuccess(cudaGetDeviceProperties(&device, 0), "no GPU");
        int driver = 0;
        int runtime = 0;
        requireSuccess(cudaDriverGetVersion(&driver), "driver");
        requireSuccess(cudaRuntimeGetVersion(&runtime), "runtime");
        std::printf("%s, compute capability %d.%d, driver for CUDA %d.%d, runtime %d.%d\n", device.name, device.major,
            device.minor, driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);

        bool good = true;
        for (const int dim : {64, 80, 96, 128, 256}) {
            good = check<float>({4, 2, 333, dim}, "float") && good;
            good = check<Bfloat16>({4, 2, 333, dim}, "bfloat16") && good;
            good = check<Float16>({4, 2, 333, dim, 100}, "float16") && good;
        }
        good = check<Bfloat16>({2, 1, 1500, 128}, "bfloat16") && good;

        const double bandwidth = writeBandwidth();
        std::printf("%d heads over %d, %d tokens, head_dim %d; writing runs at %.0f GB/s\n", shape.heads, shape.kvHeads,
            shape.tokens, shape.headDim, bandwidth);
        measure<Bfloat16>(shape, "bfloat16", bandwidth, json);
        measure<Float16>(shape, "float16", bandwidth, json);
        measure<float>(shape, "float", bandwidth, json);
        return good ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
