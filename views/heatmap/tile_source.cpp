// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/tile_source.h"

#include <algorithm>
#include <bit>
#include <exception>
#include <utility>

namespace kvloupe {
namespace {

class RecordingTiles final : public TileSource {
public:
    explicit RecordingTiles(RecordingSource* source)
        : m_source(source)
    {
    }

    void requestTile(QObject* context, Priority priority, const TileKey& key, Stale stale,
        Deliver<std::vector<Half>> deliver) override
    {
        submit<std::vector<Half>>(
            context, priority, [key](RecordingAccess& access) { return access.tiles.read(key); }, std::move(deliver),
            std::move(stale));
    }

    void requestCell(QObject* context, const CellAddress& address, Stale stale, Deliver<CellFacts> deliver) override
    {
        submit<CellFacts>(
            context, Priority::Immediate,
            [address](RecordingAccess& access) { return cellFacts(access.recording, access.tiles, address); },
            std::move(deliver), std::move(stale));
    }

    void requestOverview(QObject* context, Priority priority, int sample, int layer, Pooling pooling, Stale stale,
        Deliver<std::vector<Half>> deliver) override
    {
        submit<std::vector<Half>>(
            context, priority,
            [=](RecordingAccess& access) { return access.recording.readOverview(sample, layer, pooling); },
            std::move(deliver), std::move(stale));
    }

private:
    /// An exception becomes part of the reply: the view that asked must know which of its requests failed.
    template <typename Value, typename Read>
    void submit(QObject* context, Priority priority, Read read, Deliver<Value> deliver, Stale stale)
    {
        m_source->run<TileReply<Value>>(
            context, priority,
            [read = std::move(read)](RecordingAccess& access) {
                TileReply<Value> reply;
                try {
                    reply.value = read(access);
                } catch (const std::exception& error) {
                    reply.error = QString::fromUtf8(error.what());
                }
                return reply;
            },
            std::move(deliver), std::move(stale));
    }

    RecordingSource* m_source;
};

} // namespace

std::shared_ptr<TileSource> makeTileSource(RecordingSource* source)
{
    return source ? std::make_shared<RecordingTiles>(source) : nullptr;
}

std::optional<int> finestLevel(const LayerInfo& layer, int head)
{
    if (layer.hasQueriesKeys || std::ranges::binary_search(layer.mapHeads, head))
        return 0;
    if (layer.pyramidFactors.empty() || layer.pyramidFactors.front() < 1)
        return std::nullopt;
    return std::bit_width(static_cast<unsigned>(layer.pyramidFactors.front())) - 1;
}

int coarsestLevel(std::int64_t tokens)
{
    int level = 0;
    while ((tokens >> level) + ((tokens & ((std::int64_t{1} << level) - 1)) != 0 ? 1 : 0) > tileSize)
        ++level;
    return level;
}

MapExtent recordedExtent(const SampleInfo& sample, const std::vector<LayerInfo>& layers)
{
    const auto hasRows = [](const LayerInfo& layer) { return layer.hasQueriesKeys || layer.decodeRows > 0; };
    return sample.totalTokens > sample.promptTokens && !layers.empty() && std::ranges::all_of(layers, hasRows)
        ? MapExtent::AllTokens
        : MapExtent::Prompt;
}

} // namespace kvloupe
