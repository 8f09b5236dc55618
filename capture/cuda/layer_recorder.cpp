// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/layer_recorder.h"

#include "capture/cuda/map_tiles.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <deque>
#include <type_traits>

namespace kvloupe::cuda {

static_assert(mapTileEdge == tileSize);

namespace {

constexpr std::size_t tileBytes = std::size_t{mapTileEdge} * mapTileEdge * sizeof(Half);
constexpr int finestWideFactor = 16; // the largest the attention kernel pools by

std::size_t count(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

std::int64_t dividedUp(std::int64_t value, std::int64_t by)
{
    return (value + by - 1) / by;
}

/// What the kernel pools by so that every level can be made of it.
int poolFactorFor(std::int64_t finest)
{
    if (finest >= finestWideFactor)
        return finestWideFactor;
    return finest >= 4 ? 4 : static_cast<int>(finest);
}

/// Memory of the kernels for as long as this object lives.
template <typename T> class DeviceArray {
public:
    DeviceArray(AttentionKernels& kernels, std::int64_t size)
        : m_kernels(kernels)
        , m_size(count(size))
        , m_data(static_cast<T*>(kernels.allocate(std::max<std::size_t>(1, m_size) * sizeof(T))))
    {
    }
    ~DeviceArray() { m_kernels.free(m_data); }
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;

    T* data() const { return m_data; }
    std::vector<T> onHost() const
    {
        std::vector<T> values(m_size);
        m_kernels.copyToHost(values.data(), m_data, m_size * sizeof(T));
        return values;
    }

private:
    AttentionKernels& m_kernels;
    std::size_t m_size;
    T* m_data;
};

/// The statistics of all rows of some heads.
class RowArrays {
public:
    RowArrays(AttentionKernels& kernels, std::int64_t rows)
        : m_arrays{DeviceArray<float>(kernels, rows), DeviceArray<float>(kernels, rows),
            DeviceArray<float>(kernels, rows), DeviceArray<float>(kernels, rows)}
    {
    }

    template <typename Element> void assignTo(AttentionOutput<Element>& output) const
    {
        output.logSumExp = m_arrays[0].data();
        output.entropy = m_arrays[1].data();
        output.sinkMass = m_arrays[2].data();
        output.maximum = m_arrays[3].data();
    }
    const float* logSumExp() const { return m_arrays[0].data(); }
    std::array<std::vector<float>, 4> onHost() const
    {
        return {m_arrays[0].onHost(), m_arrays[1].onHost(), m_arrays[2].onHost(), m_arrays[3].onHost()};
    }

private:
    std::array<DeviceArray<float>, 4> m_arrays;
};

/// One level of some heads.
struct LevelArrays {
    LevelArrays(AttentionKernels& kernels, std::int64_t cells)
        : maximum(kernels, cells)
        , mean(kernels, cells)
    {
    }
    DeviceArray<Half> maximum;
    DeviceArray<Half> mean;
};

template <typename Element> AttentionOutput<Element> contextOf(const LayerAttention<Element>& layer)
{
    AttentionOutput<Element> output;
    output.context = layer.context;
    output.contextHeadStride = layer.contextHeadStride;
    output.contextRowStride = layer.contextRowStride;
    return output;
}

template <typename Element> int blockRows(const AttentionKernels& kernels, int headDim)
{
    return kernels.blockRows(headDim, std::is_same_v<Element, float>);
}

template <typename Element> int blocksOf(const AttentionKernels& kernels, const LayerAttention<Element>& layer)
{
    return static_cast<int>(dividedUp(layer.input.rows, blockRows<Element>(kernels, layer.headDim)));
}

} // namespace

template <typename Element> void attend(AttentionKernels& kernels, const LayerAttention<Element>& layer)
{
    AttentionOutput<Element> output = contextOf(layer);
    output.blocks = blocksOf(kernels, layer);
    kernels.record(layer.headDim, layer.input, output, layer.heads);
}

LayerRecorder::LayerRecorder(
    AttentionKernels& kernels, AttentionRecorder& recorder, MapTransfer transfer, Limits limits)
    : m_kernels(kernels)
    , m_recorder(recorder)
    , m_transfer(transfer)
    , m_limits(limits)
    , m_factors(recorder.levelFactors())
    , m_poolFactor(poolFactorFor(m_factors.front()))
{
}

void LayerRecorder::finish()
{
    if (m_ring)
        m_ring->finish();
}

template <typename Element> void LayerRecorder::prompt(const LayerAttention<Element>& layer)
{
    if (m_recorder.needsRows())
        rows(layer);
    else
        summaries(layer);
}

std::size_t LayerRecorder::workBytes(int headDim, bool singlePrecision, int rows) const
{
    std::int64_t floats
        = dividedUp(rows, m_kernels.blockRows(headDim, singlePrecision)) * rows + 5 * std::int64_t{rows};
    const std::int64_t fineEdge = dividedUp(rows, m_poolFactor);
    floats += 2 * fineEdge * fineEdge;
    for (const std::int64_t factor : m_factors)
        floats += dividedUp(rows, factor) * dividedUp(rows, factor); // two halves
    return count(floats) * sizeof(float);
}

/// Runs of heads that either all have maps or all have none, as many at once as the limits allow.
template <typename Element> void LayerRecorder::summaries(const LayerAttention<Element>& layer)
{
    const std::size_t perHead = workBytes(layer.headDim, std::is_same_v<Element, float>, layer.input.rows);
    const auto mapBytesPerHead
        = count(MapTiles(layer.input.window).before(static_cast<int>(dividedUp(layer.input.rows, mapTileEdge))))
        * tileBytes;
    auto largest = static_cast<int>(std::clamp<std::size_t>(m_limits.workBytes / perHead, 1, count(layer.heads)));
    for (int head = 0; head < layer.heads;) {
        const bool maps = m_recorder.hasMap(layer.layer, head);
        int most = largest;
        if (maps)
            most = static_cast<int>(std::clamp<std::size_t>(m_transfer.slotBytes / mapBytesPerHead, 1, count(most)));
        int heads = 1;
        while (heads < most && head + heads < layer.heads && m_recorder.hasMap(layer.layer, head + heads) == maps)
            ++heads;
        try {
            group(layer, head, heads, maps);
            head += heads;
        } catch (const DeviceMemoryError&) {
            if (heads == 1)
                throw;
            largest = heads / 2;
        }
    }
}

template <typename Element>
void LayerRecorder::group(const LayerAttention<Element>& layer, int headBegin, int heads, bool maps)
{
    const int rows = layer.input.rows;
    const int blocks = blocksOf(m_kernels, layer);
    const std::int64_t fineEdge = dividedUp(rows, m_poolFactor);
    const RowArrays statistics(m_kernels, std::int64_t{heads} * rows);
    const DeviceArray<float> columnSums(m_kernels, std::int64_t{heads} * rows);
    const DeviceArray<float> parts(m_kernels, std::int64_t{heads} * blocks * rows);
    const DeviceArray<float> pooledMaximum(m_kernels, heads * fineEdge * fineEdge);
    const DeviceArray<float> pooledSum(m_kernels, heads * fineEdge * fineEdge);
    std::deque<LevelArrays> levelArrays;
    for (const std::int64_t factor : m_factors)
        levelArrays.emplace_back(m_kernels, heads * dividedUp(rows, factor) * dividedUp(rows, factor));
    // Everything is allocated: from here on nothing is done twice.

    AttentionOutput<Element> output = contextOf(layer);
    statistics.assignTo(output);
    output.columnSumParts = parts.data();
    output.pooledMaximum = pooledMaximum.data();
    output.pooledSum = pooledSum.data();
    output.poolFactor = m_poolFactor;
    output.headBegin = headBegin;
    output.blocks = blocks;
    if (maps)
        launchMaps(layer, output, heads);
    else
        m_kernels.record(layer.headDim, layer.input, output, heads);

    m_kernels.reduceColumnSums(
        {parts.data(), columnSums.data(), rows, 0, layer.input.window, blockRows<Element>(m_kernels, layer.headDim)},
        heads);
    std::vector<std::array<std::vector<Half>, 2>> levels;
    for (std::size_t i = 0; i < m_factors.size(); ++i) {
        m_kernels.poolMaps({pooledMaximum.data(), pooledSum.data(), m_poolFactor, static_cast<int>(m_factors[i]), rows,
                               layer.input.window, levelArrays[i].maximum.data(), levelArrays[i].mean.data()},
            heads);
        levels.push_back({levelArrays[i].maximum.onHost(), levelArrays[i].mean.onHost()});
    }
    const auto hostStatistics = statistics.onHost();
    const std::vector<float> hostColumnSums = columnSums.onHost();

    tbb::parallel_for(0, heads, [&](int h) {
        const auto ofHead = [&](const std::vector<float>& array) {
            return std::span(array).subspan(count(std::int64_t{h} * rows), count(rows));
        };
        std::vector<HeadSummary::Level> headLevels;
        for (std::size_t i = 0; i < m_factors.size(); ++i) {
            const std::int64_t edge = dividedUp(rows, m_factors[i]);
            const auto cells = [&](const std::vector<Half>& level) {
                return std::span<const Half>(level).subspan(count(h * edge * edge), count(edge * edge));
            };
            headLevels.push_back({m_factors[i], cells(levels[i][0]), cells(levels[i][1])});
        }
        m_recorder.summary(layer.layer, headBegin + h,
            {ofHead(hostStatistics[0]), ofHead(hostStatistics[1]), ofHead(hostStatistics[2]), ofHead(hostStatistics[3]),
                ofHead(hostColumnSums), headLevels});
    });
}

/// In ranges of rows of tiles whose tiles fit into a slot of the ring.
template <typename Element>
void LayerRecorder::launchMaps(const LayerAttention<Element>& layer, AttentionOutput<Element> output, int heads)
{
    const MapTiles map(layer.input.window);
    const int tileRows = static_cast<int>(dividedUp(layer.input.rows, mapTileEdge));
    const int blocksPerTile = mapTileEdge / blockRows<Element>(m_kernels, layer.headDim);
    const std::int64_t room = static_cast<std::int64_t>(m_transfer.slotBytes / tileBytes) / heads;
    if (!m_ring)
        m_ring.emplace(m_transfer.device, m_transfer.slots, m_transfer.slotBytes);
    for (int begin = 0; begin < tileRows;) {
        int end = begin + 1;
        while (end < tileRows && map.before(end + 1) - map.before(begin) <= room)
            ++end;
        output.mapRowBegin = begin;
        output.mapTilesPerHead = map.before(end) - map.before(begin);
        if (output.mapTilesPerHead > room) {
            throw DeviceMemoryError(fmt::format("a row of map tiles needs {} bytes, a transfer buffer has {}",
                count(output.mapTilesPerHead) * tileBytes, m_transfer.slotBytes));
        }
        output.blockBegin = begin * blocksPerTile;
        output.blocks = (end - begin) * blocksPerTile;
        const TransferRing::Slot slot = m_ring->acquire();
        output.mapTiles = reinterpret_cast<std::uint16_t*>(slot.device);
        m_kernels.record(layer.headDim, layer.input, output, heads);
        const auto store = [this, map, begin, end, heads, perHead = output.mapTilesPerHead, number = layer.layer,
                               headBegin = output.headBegin](std::span<const std::byte> bytes) {
            const auto* halves = reinterpret_cast<const Half*>(bytes.data());
            tbb::parallel_for(std::int64_t{0}, heads * std::int64_t{end - begin}, [&](std::int64_t task) {
                const int head = static_cast<int>(task / (end - begin));
                const int row = begin + static_cast<int>(task % (end - begin));
                for (int column = map.firstColumn(row); column <= row; ++column) {
                    const std::int64_t tile = head * perHead + map.index(row, column) - map.before(begin);
                    m_recorder.mapTile(number, headBegin + head, row, column,
                        {halves + tile * mapTileEdge * mapTileEdge, tileBytes / sizeof(Half)});
                }
            });
        };
        m_ring->submit(slot, count(heads * output.mapTilesPerHead) * tileBytes, store);
        begin = end;
    }
}

/// Statistics from the kernel, cells of 256 rows of one head at a time.
template <typename Element> void LayerRecorder::rows(const LayerAttention<Element>& layer)
{
    const int n = layer.input.rows;
    const RowArrays statistics(m_kernels, std::int64_t{layer.heads} * n);
    AttentionOutput<Element> output = contextOf(layer);
    statistics.assignTo(output);
    output.blocks = blocksOf(m_kernels, layer);
    m_kernels.record(layer.headDim, layer.input, output, layer.heads);
    const auto host = statistics.onHost();

    const std::int64_t widest = dividedUp(layer.input.keyCount(), 16) * 16;
    const DeviceArray<float> cells(m_kernels, std::min<std::int64_t>(n, AttentionRecorder::blockRows) * widest);
    std::vector<float> hostCells;
    for (int head = 0; head < layer.heads; ++head) {
        for (int begin = 0; begin < n; begin += static_cast<int>(AttentionRecorder::blockRows)) {
            const int blockLength = std::min(n - begin, static_cast<int>(AttentionRecorder::blockRows));
            const int columns = static_cast<int>(dividedUp(layer.input.past + begin + blockLength, 16) * 16);
            m_kernels.cells(layer.headDim, layer.input,
                {statistics.logSumExp(), head, begin, blockLength, 0, columns, cells.data(), columns}, 1);
            hostCells.resize(count(std::int64_t{blockLength} * columns));
            m_kernels.copyToHost(hostCells.data(), cells.data(), hostCells.size() * sizeof(float));
            std::vector<RowStatistics> ofRows;
            for (int row = begin; row < begin + blockLength; ++row) {
                const auto at = count(std::int64_t{head} * n + row);
                ofRows.push_back({host[0][at], host[1][at], host[2][at], host[3][at]});
            }
            m_recorder.block(layer.layer, head, layer.input.past + begin, blockLength, hostCells, columns, ofRows);
        }
    }
}

template <typename Element> void LayerRecorder::generated(const LayerAttention<Element>& layer)
{
    rows(layer);
}

template void attend(AttentionKernels&, const LayerAttention<float>&);
template void attend(AttentionKernels&, const LayerAttention<Bfloat16>&);
template void attend(AttentionKernels&, const LayerAttention<Float16>&);
template void LayerRecorder::prompt(const LayerAttention<float>&);
template void LayerRecorder::prompt(const LayerAttention<Bfloat16>&);
template void LayerRecorder::prompt(const LayerAttention<Float16>&);
template void LayerRecorder::generated(const LayerAttention<float>&);
template void LayerRecorder::generated(const LayerAttention<Bfloat16>&);
template void LayerRecorder::generated(const LayerAttention<Float16>&);

} // namespace kvloupe::cuda
