// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/execution.h"

#include <cstdint>

namespace kvloupe::cuda {

inline constexpr int mapTileEdge = 256; ///< cells; core's tileSize

/// Where the tiles of a causal map lie in one array: row after row of tiles, in each those that hold visible cells.
class MapTiles {
public:
    KVLOUPE_ANYWHERE explicit MapTiles(int window)
        : m_window(window)
        , m_fullCount(window > 0 ? (window - 1 + mapTileEdge - 1) / mapTileEdge + 1 : 0)
    {
    }

    KVLOUPE_ANYWHERE int firstColumn(int tileRow) const
    {
        const int first = tileRow * mapTileEdge - m_window + 1;
        return m_window > 0 && first > 0 ? first / mapTileEdge : 0;
    }
    /// Tiles in all rows before `tileRow`.
    KVLOUPE_ANYWHERE std::int64_t before(int tileRow) const
    {
        const std::int64_t rows = tileRow;
        const std::int64_t growing = m_window > 0 && rows > m_fullCount ? m_fullCount : rows;
        return growing * (growing + 1) / 2 + (rows - growing) * m_fullCount;
    }
    KVLOUPE_ANYWHERE std::int64_t index(int tileRow, int tileColumn) const
    {
        return before(tileRow) + tileColumn - firstColumn(tileRow);
    }

private:
    int m_window;
    int m_fullCount; // tiles in a row once the window has passed the first key
};

} // namespace kvloupe::cuda
