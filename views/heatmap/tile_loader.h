// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/heatmap/tile_cache.h"
#include "views/heatmap/tile_source.h"

#include <QObject>

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

namespace kvloupe {

/// Keeps a cache filled with what is on show.
///
/// Every change of the view replaces the list of wanted tiles. Only a few requests are with the source at a time, so
/// the order stays ours; those no longer wanted are marked stale and never read. What was read all the same goes into
/// the cache.
class TileLoader : public QObject {
    Q_OBJECT

public:
    /// `cache` outlives the loader.
    explicit TileLoader(TileCache& cache, QObject* parent = nullptr);
    ~TileLoader() override;

    /// Forgets all requests and failures; nothing of the old source arrives any more.
    void setSource(std::shared_ptr<TileSource> source);

    /// What to load, most urgent first; `pinnedLevel` is the level whose tiles the cache pins.
    void want(std::vector<TileKey> visible, std::vector<TileKey> prefetch, int pinnedLevel);

    /// Whether every visible tile arrived or failed.
    bool isIdle() const;
    bool hasFailed(const TileKey& key) const { return m_failedTiles.contains(key); }

    static constexpr std::size_t maximumInFlight = 4;

signals:
    void tileArrived();
    /// The last of the visible tiles arrived.
    void idle();
    void failed(const QString& message);

private:
    struct Request {
        std::shared_ptr<std::atomic<bool>> stale;
        bool visible = false;
    };

    void cancelAll();
    void pump();
    void request(const TileKey& key, bool visible);
    void receive(const TileKey& key, std::uint64_t generation, bool pinned, TileReply<std::vector<Half>> reply);
    bool isNeeded(const TileKey& key) const;

    TileCache& m_cache;
    std::shared_ptr<TileSource> m_source;
    std::uint64_t m_generation = 0; // of the source
    std::deque<TileKey> m_visible;
    std::deque<TileKey> m_prefetch;
    std::map<TileKey, Request> m_inFlight;
    std::set<TileKey> m_failedTiles;
    int m_pinnedLevel = -1;
};

} // namespace kvloupe
