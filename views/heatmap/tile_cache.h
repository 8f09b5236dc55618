// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/replay/attention_tiles.h"

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <vector>

namespace kvloupe {

/// 256 x 256 halves, row-major; shared so that painting may go on while the cache moves.
using Tile = std::shared_ptr<const std::vector<Half>>;

/// Tiles by address, limited in bytes; the least recently used go first.
///
/// Pinned tiles (the coarsest of each map, so that a map seen before is never blank) go only when they alone would fill
/// more than half of the limit. Belongs to one thread.
class TileCache {
public:
    explicit TileCache(std::size_t limitBytes);

    /// nullptr if absent; marks the tile as used.
    Tile find(const TileKey& key);
    bool contains(const TileKey& key) const { return m_entries.contains(key); }

    enum class Pinning { None, Pinned };
    /// A tile larger than the whole limit is not kept.
    void insert(const TileKey& key, std::vector<Half> values, Pinning pinning);
    void clear();
    /// Drops all tiles of one source.
    void forget(int sourceNumber);

    /// Number under which the tiles of a source lie here, the same as long as the source lives: TileKey::source.
    int sourceNumber(const std::shared_ptr<const void>& source);

    std::size_t byteCount() const { return m_free.byteCount + m_pinned.byteCount; }
    std::size_t limitBytes() const { return m_limitBytes; }

private:
    struct Entry {
        TileKey key;
        Tile tile;
        std::size_t byteCount = 0;
        Pinning pinning = Pinning::None;
    };
    struct Shelf {
        std::list<Entry> entries; // most recently used first
        std::size_t byteCount = 0;
    };

    Shelf& shelf(Pinning pinning) { return pinning == Pinning::Pinned ? m_pinned : m_free; }
    void evictLast(Shelf& shelf);

    std::size_t m_limitBytes;
    Shelf m_free;
    Shelf m_pinned;
    std::map<TileKey, std::list<Entry>::iterator> m_entries;
    std::vector<std::weak_ptr<const void>> m_sources;
};

} // namespace kvloupe
