// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/half.h"
#include "core/recording/layer_vectors.h"
#include "core/recording/recording_types.h"
#include "core/recording/recording_writer.h"
#include "core/recording/row_statistics.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace kvloupe {

/// What is recorded of the prompt rows of one head beside its map, P = prompt tokens. Views only.
struct HeadSummary {
    std::span<const float> logSumExp; ///< [P], and so the next three
    std::span<const float> entropy;
    std::span<const float> sinkMass;
    std::span<const float> maximum;
    std::span<const float> columnSums; ///< [P]
    /// Maxima and means over the visible cells of blocks of factor x factor, 0 where there are none: [edge, edge] with
    /// edge = ceil(P / factor).
    struct Level {
        std::int64_t factor = 1;
        std::span<const Half> maximum;
        std::span<const Half> mean;
    };
    std::span<const Level> levels; ///< one of every AttentionRecorder::levelFactors()
};

/// Turns the attention of a forward pass, block of rows by block of rows, into what a recording stores of it: per-row
/// statistics, column sums, half tiles, pyramid and overview, decode rows.
///
/// Memory: the column sums of a layer, the pyramid bands that are open, one scratch block per thread; never a map.
/// Results do not depend on the order in which blocks arrive or on the number of threads. Layers come one after the
/// other; the first call of a layer brings all prompt tokens, later ones one generated token each.
class AttentionRecorder {
public:
    struct Options {
        RecordKind kind = RecordKind::Full;
        Compression compression = Compression::Fast;
        /// Per layer number: heads with a map, ascending. Empty = all heads of all layers (for RecordKind::Full).
        std::vector<std::vector<int>> mapHeads;
        /// Layers to record, ascending; empty = all.
        std::vector<int> layers;
        std::int64_t tailRows = 64; ///< stored for RecordKind::Statistics
        /// Gini and top masses of every row, which need its cells in order; always with RecordKind::Statistics.
        bool rowOrder = false;
        /// Generated rows to keep: the last n of them, or all with a negative number.
        std::int64_t decodeRows = -1;
    };

    /// Both outlive this object. `promptTokens` = P, `maximumTokens` >= P + tokens that may be generated.
    AttentionRecorder(SampleWriter& writer, const ModelInfo& model, std::int64_t promptTokens,
        std::int64_t maximumTokens, Options options);
    ~AttentionRecorder();

    static constexpr std::int64_t blockRows = tileSize;

    bool wantsLayer(int layer) const;
    /// `window`: sliding window of the layer, 0 = global. `ropeVariant`: index into ModelInfo::inverseFrequencies.
    void beginLayer(const LayerVectors& vectors, std::int64_t window = 0, int ropeVariant = 0);
    /// Prompt rows [queryBegin, +rows) of one head, queryBegin a multiple of 256 and rows = 256 except at the end:
    /// probabilities [rows, stride], columns up to queryBegin + rows rounded up to 16 readable, 0 outside the causal
    /// window; statistics [rows]. A generated token: one row at queryBegin >= P. From any thread.
    void block(int layer, int head, std::int64_t queryBegin, std::int64_t rows, std::span<const float> probabilities,
        std::int64_t stride, std::span<const RowStatistics> statistics);
    /// Instead of the blocks of a head: what a device has computed of all its prompt rows. From any thread, once per
    /// head; its map, if it has one, comes as tiles.
    void summary(int layer, int head, const HeadSummary& summary);
    /// A 256 x 256 tile of a head's map, row-major, 0 beyond the map and outside the causal window; every tile that
    /// holds a visible cell, once. From any thread.
    void mapTile(int layer, int head, std::int64_t tileRow, std::int64_t tileColumn, std::span<const Half> tile);
    /// Whether rows must be seen whole, which only block() gives: orders of cells, rows of the tail.
    bool needsRows() const;
    /// Levels that a summary holds, ascending: those of the pyramid, and the overview's.
    std::vector<std::int64_t> levelFactors() const;
    /// After beginLayer() of a layer.
    bool hasMap(int layer, int head) const;
    void endLayer(int layer);

    /// Writes what was held back of the generated tokens; `totalTokens` <= maximumTokens is final.
    void finish(std::int64_t totalTokens);

private:
    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace kvloupe
