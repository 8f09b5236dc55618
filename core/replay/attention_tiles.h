// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/attention/attention_rows.h"
#include "core/prompt/prompt_layout.h"
#include "core/recording/recording.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace kvloupe {

/// Which queries and keys a map has: those of the prompt, or of generated tokens below and to the right of them as
/// well.
enum class MapExtent { Prompt, AllTokens };

/// Address of a 256 x 256 tile of the map of one head. Level L pools 2^L x 2^L cells; tile (row, column) of level L
/// covers the cells [256 * 2^L * row, ...) x [256 * 2^L * column, ...).
struct TileKey {
    int sample = 0;
    int layer = 0;
    int head = 0;
    int level = 0;
    Pooling pooling = Pooling::Max; ///< no meaning at level 0
    std::int64_t row = 0;
    std::int64_t column = 0;
    MapExtent extent = MapExtent::Prompt;
    int source = 0; ///< whose tile it is, where tiles of several sources lie together

    auto operator<=>(const TileKey&) const = default;
};

/// Any tile of any head at any level, as if every map and every pyramid level were stored.
///
/// Sources, best first: the stored map, the stored pyramid, the level below (pooled by 2), queries and keys
/// (AttentionRows). Maxima are exact at every level; edges are padded by no cells; means are over causal cells. Keeps
/// the packed keys and queries of a few heads (bounded bytes). Belongs to one thread, as its Recording does.
class AttentionTiles {
public:
    /// `recording` outlives this object.
    explicit AttentionTiles(const Recording& recording, std::size_t cacheBytes = std::size_t{64} << 20);
    ~AttentionTiles();

    /// Whether the head can be shown at all (a stored map, or queries and keys).
    bool available(int sample, int layer, int head) const;
    /// Smallest level whose whole map is one tile.
    int coarsestLevel(int sample) const;
    /// Row-major 256 x 256 halves, 0 outside the causal window. An all-zero tile for tiles above the diagonal. Cells of
    /// generated queries that were not recorded are 0. A RecordingError if there is no such tile, or nothing was
    /// recorded to make it from.
    std::vector<Half> read(const TileKey& key);
    /// Cells of `queries` x `keys`, row-major float32, of generated queries too: from queries and keys if there, else
    /// from the map and the recorded rows; 0 outside the causal window and where nothing was recorded. Empty if there
    /// is neither. RecordingError if a range leaves the tokens of the sample.
    std::vector<float> block(int sample, int layer, int head, TokenRange queries, TokenRange keys);
    /// Exact float32 value of one cell, of generated queries too, from queries and keys if there, else from the map;
    /// NaN if neither.
    float cell(int sample, int layer, int head, std::int64_t query, std::int64_t key);
    /// One whole row, float32: [P] of a prompt query, [T] of a generated one; empty if nothing was recorded.
    std::vector<float> row(int sample, int layer, int head, std::int64_t query);

private:
    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace kvloupe
