// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace kvloupe {

/// Maxima and sums of the cells of one row of a pooled level of a map: [columns].
struct PooledRow {
    std::vector<float> maximum;
    std::vector<float> sum;
};

/// Rows of levels that are coarser than a block of rows of the map: each is the work of several blocks, which come in
/// any order and from any thread. Memory: what waits for its last block.
class CoarseRows {
public:
    /// Which level, and which of its rows.
    using Key = std::pair<std::int64_t, std::int64_t>;

    /// What the block that begins at query `block` gives to a row; blocks see the more columns the later they begin.
    /// Returns the row with the last of its `blocks` blocks: added up in their order, so that it does not depend on
    /// which of them came last.
    std::optional<PooledRow> add(
        Key row, std::int64_t block, std::int64_t blocks, std::span<const float> maximum, std::span<const float> sum);
    void clear();

private:
    std::mutex m_mutex;
    std::map<Key, std::map<std::int64_t, PooledRow>> m_waiting; // by the first query of the block
};

} // namespace kvloupe
