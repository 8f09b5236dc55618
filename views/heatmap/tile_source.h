// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/replay/attention_tiles.h"
#include "core/replay/cell_facts.h"
#include "views/session/recording_source.h"

#include <QString>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace kvloupe {

/// What came back: `value`, or one line that says why not.
template <typename Value> struct TileReply {
    Value value{};
    QString error;

    bool ok() const { return error.isEmpty(); }
};

/// Where the heat map and the wall of heads get their numbers from: an open recording, or made up ones in tests.
///
/// Replies arrive on the thread of `context`, never inside the call itself; none arrives once `context` is gone, or if
/// `stale` said so before the work began.
class TileSource {
public:
    using Priority = RecordingSource::Priority;
    using Stale = std::function<bool()>;
    template <typename Value> using Deliver = std::function<void(TileReply<Value>)>;

    virtual ~TileSource() = default;

    /// 256 x 256 halves, see AttentionTiles::read.
    virtual void requestTile(
        QObject* context, Priority priority, const TileKey& key, Stale stale, Deliver<std::vector<Half>> deliver)
        = 0;
    /// Exact value of one cell, its rank, and what the pixel that shows it stands for.
    virtual void requestCell(QObject* context, const CellAddress& address, Stale stale, Deliver<CellFacts> deliver) = 0;
    /// All heads of a layer, [heads, edge, edge] with edge = overviewEdge(P).
    virtual void requestOverview(QObject* context, Priority priority, int sample, int layer, Pooling pooling,
        Stale stale, Deliver<std::vector<Half>> deliver)
        = 0;
};

/// Tiles of an open recording; `source` outlives the result.
std::shared_ptr<TileSource> makeTileSource(RecordingSource* source);

/// Finest level of detail that was recorded for a head: 0 with a map or queries and keys, that of the finest pyramid of
/// a statistics recording; none if the head cannot be shown.
std::optional<int> finestLevel(const LayerInfo& layer, int head);
/// Smallest level whose whole map is one tile.
int coarsestLevel(std::int64_t tokens);
/// Whether rows of generated tokens were recorded for every layer, so that maps go on below the prompt.
MapExtent recordedExtent(const SampleInfo& sample, const std::vector<LayerInfo>& layers);

} // namespace kvloupe
