// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/replay/attention_tiles.h"
#include "core/replay/byte_bound_cache.h"
#include "core/replay/cell_facts.h"

#include <cstdint>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

namespace kvloupe {

/// One map among those of a recording.
struct MapAddress {
    int sample = 0;
    int layer = 0;
    int head = 0;

    auto operator<=>(const MapAddress&) const = default;
};

/// Why the maps of two samples cannot be subtracted: one line that names the first token that differs; empty if both
/// have the same prompt. Of a sample's generated tokens nothing is asked.
std::string promptMismatch(const SampleText& a, std::int64_t promptA, const SampleText& b, std::int64_t promptB);

/// A - B of the maps of two heads over the same prompt, of one recording or of two.
///
/// Exact at level 0: float32 cells of both are subtracted and then rounded to half. A pooled cell is the difference
/// with the largest magnitude in its block, with its sign. Coarse levels are pooled from finer ones, all the way from
/// level 0, so the first look at a whole map costs both maps. Belongs to the thread of its recordings.
class DifferenceTiles {
public:
    /// `a` and `b` outlive this object and may be the same. Both maps have at least
    /// `tokens` tokens.
    DifferenceTiles(AttentionTiles& a, MapAddress mapA, AttentionTiles& b, MapAddress mapB, std::int64_t tokens,
        std::size_t cacheBytes = std::size_t{32} << 20);

    /// Row-major 256 x 256 halves, 0 above the diagonal. An empty result if `stop` said so on the way. RecordingError
    /// if one of the maps was not recorded in full.
    std::vector<Half> read(int level, std::int64_t row, std::int64_t column, const std::function<bool()>& stop = {});
    /// Float32 differences of the cells `queries` x `keys`, row-major.
    std::vector<float> block(TokenRange queries, TokenRange keys);
    /// The difference at one cell, and of its block the one with the largest magnitude; it has no rank.
    CellFacts facts(const CellAddress& address, std::int64_t window);

private:
    using Key = std::tuple<int, std::int64_t, std::int64_t>;
    std::vector<Half> base(std::int64_t row, std::int64_t column);

    AttentionTiles* m_a;
    AttentionTiles* m_b;
    MapAddress m_mapA;
    MapAddress m_mapB;
    std::int64_t m_tokens;
    ByteBoundCache<Key, std::vector<Half>> m_tiles;
};

} // namespace kvloupe
