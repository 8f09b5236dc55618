// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/tile_source.h"
#include "views/session/sample_model.h"

#include <deque>
#include <functional>
#include <set>

namespace kvloupe {

/// Tiles of a made-up map: A[q, k] = cell(q, k) below the diagonal. Pools slowly and obviously.
class FakeTiles final : public TileSource {
public:
    using Cell = std::function<float(std::int64_t query, std::int64_t key)>;

    FakeTiles(std::int64_t tokens, Cell cell);

    /// While held, requests wait; deliverHeld() answers those that are not stale, in order.
    bool hold = false;
    void deliverHeld();
    std::size_t heldCount() const { return m_held.size(); }

    /// Tiles that were read (stale ones are not), and requests that were dropped as stale.
    std::vector<TileKey> reads;
    int staleDropped = 0;
    /// Tiles with this property fail with a message.
    std::function<bool(const TileKey&)> damaged;

    float pooled(int level, Pooling pooling, std::int64_t row, std::int64_t column) const;

    void requestTile(QObject* context, Priority priority, const TileKey& key, Stale stale,
        Deliver<std::vector<Half>> deliver) override;
    void requestCell(QObject* context, const CellAddress& address, Stale stale, Deliver<CellFacts> deliver) override;
    void requestOverview(QObject* context, Priority priority, int sample, int layer, Pooling pooling, Stale stale,
        Deliver<std::vector<Half>> deliver) override;

    int heads = 1; ///< of overviews
    int overviewRequests = 0;

private:
    void submit(QObject* context, Stale stale, std::function<void()> answer);

    struct Held {
        QObject* context;
        Stale stale;
        std::function<void()> answer;
    };
    std::int64_t m_tokens;
    Cell m_cell;
    std::deque<Held> m_held;
};

/// A sample of `tokens` words with `layers` x `heads` recorded heads.
/// `generated` more tokens follow the prompt.
std::shared_ptr<SampleModel> makeSample(std::int64_t tokens, int layers = 2, int heads = 3, std::int64_t generated = 0);

} // namespace kvloupe
