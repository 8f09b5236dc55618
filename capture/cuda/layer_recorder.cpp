// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/layer_recorder.h"

#include "capture/cuda/map_tiles.h"
#include "capture/cuda/pool_factor.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

namespace kvloupe::cuda {

static_assert(mapTileEdge == tileSize);

namespace {

constexpr std::size_t tileBytes = std::size_t{mapTileEdge} * mapTileEdge * sizeof(Half);

std::size_t count(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

std::int64_t dividedUp(std::int64_t value, std::int64_t by)
{
    return (value + by - 1) / by;
}

/// Places of arrays in a piece of memory.
class Places {
public:
    template <typename T> std::size_t add(std::int64_t size)
    {
        const std::size_t place = m_bytes;
        m_bytes += (count(size) * sizeof(T) + alignment - 1) / alignment * alignment;
        return place;
    }
    std::size_t bytes() const { return m_bytes; }

private:
    static constexpr std::size_t alignment = 256;
    std::size_t m_bytes = 0;
};

template <typename T> T* arrayAt(std::byte* memory, std::size_t place)
{
    return reinterpret_cast<T*>(memory + place);
}
template <typename T>
std::span<const T> arrayAt(std::span<const std::byte> memory, std::size_t place, std::int64_t size)
{
    return {reinterpret_cast<const T*>(memory.data() + place), count(size)};
}

/// The statistics of rows: log-sum-exp, entropy, sink mass, largest cell.
struct RowPlaces {
    RowPlaces(Places& places, std::int64_t rows)
    {
        for (std::size_t& place : arrays)
            place = places.add<float>(rows);
    }
    template <typename Element> void assign(std::byte* memory, AttentionOutput<Element>& output) const
    {
        output.logSumExp = arrayAt<float>(memory, arrays[0]);
        output.entropy = arrayAt<float>(memory, arrays[1]);
        output.sinkMass = arrayAt<float>(memory, arrays[2]);
        output.maximum = arrayAt<float>(memory, arrays[3]);
    }

    std::array<std::size_t, 4> arrays{};
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

/// Where what is computed of a group of heads lies in the work space: first what goes to the host, in one copy.
struct LayerRecorder::GroupLayout {
    GroupLayout(int headCount, int rowCount, int blockRows, int poolFactor, std::span<const std::int64_t> factors)
        : heads(headCount)
        , rows(rowCount)
        , statistics(places, std::int64_t{headCount} * rowCount)
        , columnSums(places.add<float>(std::int64_t{headCount} * rowCount))
    {
        for (const std::int64_t factor : factors) {
            const std::int64_t cells = heads * dividedUp(rows, factor) * dividedUp(rows, factor);
            levels.push_back({places.add<Half>(cells), places.add<Half>(cells)});
        }
        resultBytes = places.bytes();
        columnSumParts = places.add<float>(heads * dividedUp(rows, blockRows) * rows);
        const std::int64_t edge = dividedUp(rows, poolFactor);
        pooledMaximum = places.add<float>(heads * edge * edge);
        pooledSum = places.add<float>(heads * edge * edge);
        bytes = places.bytes();
    }

    int heads;
    int rows;
    Places places;
    RowPlaces statistics;
    std::size_t columnSums;
    std::vector<std::array<std::size_t, 2>> levels; ///< maxima and means of every factor
    std::size_t resultBytes;
    std::size_t columnSumParts;
    std::size_t pooledMaximum;
    std::size_t pooledSum;
    std::size_t bytes;
};

/// Heads that were launched and whose results are on their way to the host.
struct LayerRecorder::Group {
    GroupLayout layout;
    int layer;
    int headBegin;
    int buffer; ///< of the work space
};

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
    , m_work(kernels)
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

/// Runs of heads that either all have maps or all have none, as many at once as the limits allow.
template <typename Element> void LayerRecorder::summaries(const LayerAttention<Element>& layer)
{
    const int rows = layer.input.rows;
    const int rowsOfBlock = blockRows<Element>(m_kernels, layer.headDim);
    const std::size_t perHead = GroupLayout(1, rows, rowsOfBlock, m_poolFactor, m_factors).bytes;
    const auto mapBytesPerHead
        = count(MapTiles(layer.input.window).before(static_cast<int>(dividedUp(rows, mapTileEdge)))) * tileBytes;
    auto largest = static_cast<int>(std::clamp<std::size_t>(m_limits.workBytes / perHead, 1, count(layer.heads)));
    std::optional<Group> before;
    for (int head = 0; head < layer.heads;) {
        const bool maps = m_recorder.hasMap(layer.layer, head);
        int most = largest;
        if (maps)
            most = static_cast<int>(std::clamp<std::size_t>(m_transfer.slotBytes / mapBytesPerHead, 1, count(most)));
        int heads = 1;
        while (heads < most && head + heads < layer.heads && m_recorder.hasMap(layer.layer, head + heads) == maps)
            ++heads;
        const GroupLayout layout(heads, rows, rowsOfBlock, m_poolFactor, m_factors);
        const bool needsRing = maps && !m_ring;
        if (needsRing || !m_work.holds(layout.bytes, layout.resultBytes)) {
            summarize(before);
            try {
                m_work.reserve(layout.bytes, layout.resultBytes);
                if (needsRing)
                    m_ring.emplace(m_transfer.device, m_transfer.slots, m_transfer.slotBytes);
            } catch (const DeviceMemoryError&) {
                m_work.release();
                if (heads == 1)
                    throw;
                largest = heads / 2;
                m_limits.workBytes = count(largest) * perHead; // for the layers after this one too
                continue;
            }
        }
        Group group = launch(layer, layout, head, maps);
        summarize(before);
        before.emplace(std::move(group));
        head += heads;
    }
    summarize(before);
}

template <typename Element>
LayerRecorder::Group LayerRecorder::launch(
    const LayerAttention<Element>& layer, const GroupLayout& layout, int headBegin, bool maps)
{
    std::byte* const memory = m_work.device();
    AttentionOutput<Element> output = contextOf(layer);
    layout.statistics.assign(memory, output);
    output.columnSumParts = arrayAt<float>(memory, layout.columnSumParts);
    output.pooledMaximum = arrayAt<float>(memory, layout.pooledMaximum);
    output.pooledSum = arrayAt<float>(memory, layout.pooledSum);
    output.poolFactor = m_poolFactor;
    output.headBegin = headBegin;
    output.blocks = blocksOf(m_kernels, layer);
    if (maps)
        launchMaps(layer, output, layout.heads);
    else
        m_kernels.record(layer.headDim, layer.input, output, layout.heads);

    m_kernels.reduceColumnSums({output.columnSumParts, arrayAt<float>(memory, layout.columnSums), layout.rows, 0,
                                   layer.input.window, blockRows<Element>(m_kernels, layer.headDim)},
        layout.heads);
    for (std::size_t i = 0; i < m_factors.size(); ++i)
        m_kernels.poolMaps({output.pooledMaximum, output.pooledSum, m_poolFactor, static_cast<int>(m_factors[i]),
                               layout.rows, layer.input.window, arrayAt<Half>(memory, layout.levels[i][0]),
                               arrayAt<Half>(memory, layout.levels[i][1])},
            layout.heads);
    return {layout, layer.layer, headBegin, m_work.beginFetch(memory, layout.resultBytes)};
}

/// Hands on what came of a group, if there is one.
void LayerRecorder::summarize(std::optional<Group>& group)
{
    if (!group)
        return;
    const GroupLayout& layout = group->layout;
    const std::span<const std::byte> results = m_work.fetched(group->buffer);
    tbb::parallel_for(0, layout.heads, [&](int h) {
        const auto ofHead = [&](std::size_t place) {
            return arrayAt<float>(results, place + count(std::int64_t{h} * layout.rows) * sizeof(float), layout.rows);
        };
        std::vector<HeadSummary::Level> levels;
        for (std::size_t i = 0; i < m_factors.size(); ++i) {
            const std::int64_t edge = dividedUp(layout.rows, m_factors[i]);
            const auto cells = [&](std::size_t place) {
                return arrayAt<Half>(results, place + count(h * edge * edge) * sizeof(Half), edge * edge);
            };
            levels.push_back({m_factors[i], cells(layout.levels[i][0]), cells(layout.levels[i][1])});
        }
        const std::array<std::size_t, 4>& rows = layout.statistics.arrays;
        m_recorder.summary(group->layer, group->headBegin + h,
            {ofHead(rows[0]), ofHead(rows[1]), ofHead(rows[2]), ofHead(rows[3]), ofHead(layout.columnSums), levels});
    });
    group.reset();
}

/// In ranges of rows of tiles whose tiles fit into a slot of the ring.
template <typename Element>
void LayerRecorder::launchMaps(const LayerAttention<Element>& layer, AttentionOutput<Element> output, int heads)
{
    const MapTiles map(layer.input.window);
    const int tileRows = static_cast<int>(dividedUp(layer.input.rows, mapTileEdge));
    const int blocksPerTile = mapTileEdge / blockRows<Element>(m_kernels, layer.headDim);
    const std::int64_t room = static_cast<std::int64_t>(m_transfer.slotBytes / tileBytes) / heads;
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

/// Statistics from the kernel, cells of 256 rows of one head at a time: while they are computed and copied, the
/// recorder gets those before them.
template <typename Element> void LayerRecorder::rows(const LayerAttention<Element>& layer)
{
    struct Block {
        int head;
        int begin;
        int rows;
        int columns;
        int buffer;
    };
    constexpr auto most = static_cast<int>(AttentionRecorder::blockRows);
    const int n = layer.input.rows;
    const std::int64_t allRows = std::int64_t{layer.heads} * n;
    Places places;
    const RowPlaces statistics(places, allRows);
    const std::size_t statisticBytes = places.bytes();
    const std::size_t cells = places.add<float>(std::min(n, most) * dividedUp(layer.input.keyCount(), 16) * 16);
    m_work.reserve(places.bytes(), std::max(statisticBytes, places.bytes() - cells));

    AttentionOutput<Element> output = contextOf(layer);
    statistics.assign(m_work.device(), output);
    output.blocks = blocksOf(m_kernels, layer);
    m_kernels.record(layer.headDim, layer.input, output, layer.heads);
    const auto arrived = m_work.fetched(m_work.beginFetch(m_work.device(), statisticBytes));
    std::vector<RowStatistics> ofRows;
    ofRows.reserve(count(allRows));
    const auto numbers = [&](int i) { return arrayAt<float>(arrived, statistics.arrays[count(i)], allRows); };
    for (std::size_t row = 0; row < count(allRows); ++row)
        ofRows.push_back({numbers(0)[row], numbers(1)[row], numbers(2)[row], numbers(3)[row]});

    const auto store = [&](const Block& block) {
        const auto found = arrayAt<float>(m_work.fetched(block.buffer), 0, std::int64_t{block.rows} * block.columns);
        m_recorder.block(layer.layer, block.head, layer.input.past + block.begin, block.rows, found, block.columns,
            std::span(ofRows).subspan(count(std::int64_t{block.head} * n + block.begin), count(block.rows)));
    };
    std::optional<Block> before;
    for (int head = 0; head < layer.heads; ++head) {
        for (int begin = 0; begin < n; begin += most) {
            const int length = std::min(n - begin, most);
            const int columns = static_cast<int>(dividedUp(layer.input.past + begin + length, 16) * 16);
            float* const to = arrayAt<float>(m_work.device(), cells);
            m_kernels.cells(
                layer.headDim, layer.input, {output.logSumExp, head, begin, length, 0, columns, to, columns}, 1);
            const int buffer = m_work.beginFetch(to, count(std::int64_t{length} * columns) * sizeof(float));
            if (before)
                store(*before);
            before = {head, begin, length, columns, buffer};
        }
    }
    if (before)
        store(*before);
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
