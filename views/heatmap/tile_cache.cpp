// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/tile_cache.h"

#include <algorithm>
#include <utility>

namespace kvloupe {

TileCache::TileCache(std::size_t limitBytes)
    : m_limitBytes(limitBytes)
{
}

Tile TileCache::find(const TileKey& key)
{
    const auto found = m_entries.find(key);
    if (found == m_entries.end())
        return nullptr;
    auto& entries = shelf(found->second->pinning).entries;
    entries.splice(entries.begin(), entries, found->second);
    return found->second->tile;
}

void TileCache::insert(const TileKey& key, std::vector<Half> values, Pinning pinning)
{
    if (const auto found = m_entries.find(key); found != m_entries.end()) {
        auto& old = shelf(found->second->pinning);
        old.byteCount -= found->second->byteCount;
        old.entries.erase(found->second);
        m_entries.erase(found);
    }
    const std::size_t byteCount = values.size() * sizeof(Half);
    if (byteCount > m_limitBytes)
        return;
    while (pinning == Pinning::Pinned && !m_pinned.entries.empty() && m_pinned.byteCount + byteCount > m_limitBytes / 2)
        evictLast(m_pinned);
    while (this->byteCount() + byteCount > m_limitBytes)
        evictLast(m_free.entries.empty() ? m_pinned : m_free);
    auto& target = shelf(pinning);
    target.entries.push_front({key, std::make_shared<const std::vector<Half>>(std::move(values)), byteCount, pinning});
    target.byteCount += byteCount;
    m_entries[key] = target.entries.begin();
}

void TileCache::clear()
{
    m_entries.clear();
    m_free = {};
    m_pinned = {};
}

void TileCache::forget(int sourceNumber)
{
    for (auto entry = m_entries.begin(); entry != m_entries.end();) {
        if (entry->first.source != sourceNumber) {
            ++entry;
            continue;
        }
        Shelf& holder = shelf(entry->second->pinning);
        holder.byteCount -= entry->second->byteCount;
        holder.entries.erase(entry->second);
        entry = m_entries.erase(entry);
    }
}

int TileCache::sourceNumber(const std::shared_ptr<const void>& source)
{
    const auto found = std::ranges::find_if(m_sources, [&](const auto& known) { return known.lock() == source; });
    const auto number = static_cast<int>(found - m_sources.begin());
    if (found == m_sources.end())
        m_sources.push_back(source);
    return number;
}

void TileCache::evictLast(Shelf& shelf)
{
    const Entry& last = shelf.entries.back();
    shelf.byteCount -= last.byteCount;
    m_entries.erase(last.key);
    shelf.entries.pop_back();
}

} // namespace kvloupe
