// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/kv_cache.h"

#include <algorithm>
#include <cstddef>

namespace kvloupe {

KvCache::KvCache(int layers, int kvHeads, int headDim, std::int64_t capacityHint)
    : m_kvHeads(kvHeads)
    , m_headDim(headDim)
{
    const auto heads = static_cast<std::size_t>(layers) * static_cast<std::size_t>(kvHeads);
    const auto tokens = static_cast<std::size_t>(std::max<std::int64_t>(capacityHint, 0));
    m_heads.reserve(heads);
    for (std::size_t i = 0; i < heads; ++i) {
        Head& added = m_heads.emplace_back(headDim);
        added.keys.reserve(tokens * static_cast<std::size_t>(headDim));
        added.values.reserve(tokens * static_cast<std::size_t>(headDim));
        added.positions.reserve(tokens);
    }
}

const KvCache::Head& KvCache::head(int layer, int kvHead) const
{
    return m_heads[static_cast<std::size_t>(layer) * static_cast<std::size_t>(m_kvHeads)
        + static_cast<std::size_t>(kvHead)];
}

std::int64_t KvCache::size(int layer, int kvHead) const
{
    return static_cast<std::int64_t>(head(layer, kvHead).positions.size());
}

std::int64_t KvCache::size() const
{
    std::size_t longest = 0;
    for (const Head& one : m_heads)
        longest = std::max(longest, one.positions.size());
    return static_cast<std::int64_t>(longest);
}

std::span<const float> KvCache::keys(int layer, int kvHead) const
{
    return head(layer, kvHead).keys;
}

std::span<const float> KvCache::values(int layer, int kvHead) const
{
    return head(layer, kvHead).values;
}

std::span<const std::int64_t> KvCache::positions(int layer, int kvHead) const
{
    return head(layer, kvHead).positions;
}

const PackedKeys& KvCache::packedKeys(int layer, int kvHead) const
{
    return head(layer, kvHead).packed;
}

void KvCache::append(int layer, int kvHead, std::span<const float> keys, std::span<const float> values,
    std::span<const std::int64_t> positions)
{
    Head& one = const_cast<Head&>(head(layer, kvHead));
    one.keys.insert(one.keys.end(), keys.begin(), keys.end());
    one.values.insert(one.values.end(), values.begin(), values.end());
    one.positions.insert(one.positions.end(), positions.begin(), positions.end());
    one.packed.append(keys);
}

void KvCache::truncate(std::int64_t position)
{
    for (Head& one : m_heads) {
        const auto kept = static_cast<std::size_t>(
            std::lower_bound(one.positions.begin(), one.positions.end(), position) - one.positions.begin());
        if (kept == one.positions.size())
            continue;
        one.keys.resize(kept * static_cast<std::size_t>(m_headDim));
        one.values.resize(kept * static_cast<std::size_t>(m_headDim));
        one.positions.resize(kept);
        one.packed = PackedKeys(one.keys, m_headDim);
    }
    m_nextPosition = std::min(m_nextPosition, position);
}

void KvCache::setLastLogits(std::span<const float> logits)
{
    m_lastLogits.assign(logits.begin(), logits.end());
}

} // namespace kvloupe
