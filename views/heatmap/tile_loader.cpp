// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/tile_loader.h"

#include <algorithm>
#include <utility>

namespace kvloupe {

TileLoader::TileLoader(TileCache& cache, QObject* parent)
    : QObject(parent)
    , m_cache(cache)
{
}

TileLoader::~TileLoader()
{
    cancelAll();
}

void TileLoader::setSource(std::shared_ptr<TileSource> source)
{
    cancelAll();
    ++m_generation;
    m_visible.clear();
    m_prefetch.clear();
    m_failedTiles.clear();
    m_source = std::move(source);
}

void TileLoader::want(std::vector<TileKey> visible, std::vector<TileKey> prefetch, int pinnedLevel)
{
    m_pinnedLevel = pinnedLevel;
    std::set<TileKey> wanted(visible.begin(), visible.end());
    const std::set<TileKey> visibleSet = wanted;
    wanted.insert(prefetch.begin(), prefetch.end());
    for (auto entry = m_inFlight.begin(); entry != m_inFlight.end();) {
        if (wanted.contains(entry->first)) {
            entry->second.visible = visibleSet.contains(entry->first);
            ++entry;
        } else {
            entry->second.stale->store(true);
            entry = m_inFlight.erase(entry);
        }
    }
    m_visible.assign(visible.begin(), visible.end());
    m_prefetch.assign(prefetch.begin(), prefetch.end());
    pump();
}

bool TileLoader::isIdle() const
{
    const auto inFlightIsVisible = [](const auto& entry) { return entry.second.visible; };
    return std::ranges::none_of(m_visible, [this](const TileKey& key) { return isNeeded(key); })
        && std::ranges::none_of(m_inFlight, inFlightIsVisible);
}

void TileLoader::cancelAll()
{
    for (auto& [key, request] : m_inFlight)
        request.stale->store(true);
    m_inFlight.clear();
}

bool TileLoader::isNeeded(const TileKey& key) const
{
    return !m_cache.contains(key) && !m_failedTiles.contains(key) && !m_inFlight.contains(key);
}

void TileLoader::pump()
{
    if (!m_source)
        return;
    const auto fill = [this](std::deque<TileKey>& keys, bool visible) {
        while (!keys.empty() && m_inFlight.size() < maximumInFlight) {
            const TileKey key = keys.front();
            keys.pop_front();
            if (isNeeded(key))
                request(key, visible);
        }
    };
    fill(m_visible, true);
    if (m_visible.empty())
        fill(m_prefetch, false);
}

void TileLoader::request(const TileKey& key, bool visible)
{
    auto stale = std::make_shared<std::atomic<bool>>(false);
    m_inFlight[key] = {stale, visible};
    const bool pinned = key.level == m_pinnedLevel;
    m_source->requestTile(
        this, visible ? TileSource::Priority::Visible : TileSource::Priority::Prefetch, key,
        [stale] { return stale->load(); },
        [this, key, pinned, generation = m_generation](
            TileReply<std::vector<Half>> reply) { receive(key, generation, pinned, std::move(reply)); });
}

void TileLoader::receive(const TileKey& key, std::uint64_t generation, bool pinned, TileReply<std::vector<Half>> reply)
{
    if (generation != m_generation)
        return;
    const auto found = m_inFlight.find(key);
    const bool visible = found != m_inFlight.end() && found->second.visible;
    if (found != m_inFlight.end())
        m_inFlight.erase(found);
    if (reply.ok() && reply.value.size() == static_cast<std::size_t>(tileSize * tileSize)) {
        m_cache.insert(key, std::move(reply.value), pinned ? TileCache::Pinning::Pinned : TileCache::Pinning::None);
    } else {
        m_failedTiles.insert(key);
        emit failed(reply.ok() ? tr("A tile of the map has a wrong size.") : reply.error);
    }
    pump();
    if (visible) {
        emit tileArrived();
        if (isIdle())
            emit idle();
    }
}

} // namespace kvloupe
