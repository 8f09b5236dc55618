// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace kvloupe {

/// Values by key that together stay below a number of bytes, except that the newest is always kept. Holds a few dozen.
template <class Key, class Value> class ByteBoundCache {
public:
    explicit ByteBoundCache(std::size_t limit)
        : m_limit(limit)
    {
    }

    std::shared_ptr<const Value> find(const Key& key)
    {
        const auto found = m_entries.find(key);
        if (found == m_entries.end()) {
            return nullptr;
        }
        found->second.lastUse = ++m_uses;
        return found->second.value;
    }

    void insert(const Key& key, std::shared_ptr<const Value> value, std::size_t bytes)
    {
        while (!m_entries.empty() && m_bytes + bytes > m_limit) {
            const auto oldest
                = std::ranges::min_element(m_entries, {}, [](const auto& entry) { return entry.second.lastUse; });
            m_bytes -= oldest->second.bytes;
            m_entries.erase(oldest);
        }
        m_bytes += bytes;
        m_entries[key] = {std::move(value), bytes, ++m_uses};
    }

private:
    struct Entry {
        std::shared_ptr<const Value> value;
        std::size_t bytes = 0;
        std::uint64_t lastUse = 0;
    };
    std::map<Key, Entry> m_entries;
    std::size_t m_limit;
    std::size_t m_bytes = 0;
    std::uint64_t m_uses = 0;
};

} // namespace kvloupe
