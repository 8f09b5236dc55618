// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/coarse_rows.h"

#include <algorithm>

namespace kvloupe {

std::optional<PooledRow> CoarseRows::add(
    Key row, std::int64_t block, std::int64_t blocks, std::span<const float> maximum, std::span<const float> sum)
{
    std::map<std::int64_t, PooledRow> parts;
    {
        const std::lock_guard lock(m_mutex);
        auto& there = m_waiting[row];
        there[block] = {{maximum.begin(), maximum.end()}, {sum.begin(), sum.end()}};
        if (static_cast<std::int64_t>(there.size()) < blocks)
            return std::nullopt;
        parts = std::move(there);
        m_waiting.erase(row);
    }
    PooledRow joined;
    for (const auto& [first, part] : parts) {
        joined.maximum.resize(std::max(joined.maximum.size(), part.maximum.size()));
        joined.sum.resize(joined.maximum.size());
        for (std::size_t c = 0; c < part.maximum.size(); ++c) {
            joined.maximum[c] = std::max(joined.maximum[c], part.maximum[c]);
            joined.sum[c] += part.sum[c];
        }
    }
    return joined;
}

void CoarseRows::clear()
{
    const std::lock_guard lock(m_mutex);
    m_waiting.clear();
}

} // namespace kvloupe
