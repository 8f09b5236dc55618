// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <limits>
#include <span>

namespace kvloupe {

/// What a scorer wants to see of each layer. Needs of several methods are merged, computed once and shared.
struct EvidenceNeeds {
    std::int64_t lastRows = 0; ///< attention of the last n prompt queries
    bool columnSums = false; ///< attention every key received from all prompt queries
    bool keyNorms = false;
    bool valueNorms = false;
    bool outputValueNorms = false; ///< 1-norm of W_o,h v
    std::int64_t lastQueries = 0; ///< post-RoPE queries of the last n prompt tokens; allQueries = of all
    bool keys = false; ///< post-RoPE
    bool values = false;
    bool queryStatistics = false; ///< mean and covariance of pre-RoPE queries
    bool rope = false; ///< rotation frequencies of the layer

    static constexpr std::int64_t allQueries = std::numeric_limits<std::int64_t>::max();

    void merge(const EvidenceNeeds& other);
    /// True if evidence gathered for `*this` serves `other` too.
    bool covers(const EvidenceNeeds& other) const;
    bool operator==(const EvidenceNeeds&) const = default;
};

/// Evidence of one layer at the moment of the decision: views over float32 arrays that somebody else owns (a
/// recording's EvidenceBuilder, the live cache, a table in a test). Arrays that were not asked for are empty.
///
/// T = tokens in the cache of this layer: the prompt, or its last `window` tokens in a layer with a sliding window.
/// Index i stands for the position firstPosition + i.
struct LayerEvidence {
    int layer = 0;
    int numLayers = 1;
    int queryHeads = 0;
    int kvHeads = 0; ///< query head h belongs to KV head h / (queryHeads / kvHeads)
    int headDim = 0;
    std::int64_t tokens = 0;
    std::int64_t firstPosition = 0; ///< 0 but in layers with a sliding window
    double softmaxScale = 0.0;

    std::int64_t lastRowCount = 0; ///< min(needs.lastRows, T), or more if more was asked for by others
    std::span<const float> lastRows; ///< [queryHeads, lastRowCount, T], the newest query last; read by lastRow()
    std::int64_t lastRowHeadStride = 0; ///< floats from one head to the next; 0 = lastRowCount * T
    std::span<const float> columnSums; ///< [queryHeads, T]
    std::span<const float> keyNorms; ///< [kvHeads, T]
    std::span<const float> valueNorms; ///< [kvHeads, T]
    std::span<const float> outputValueNorms; ///< [queryHeads, T]
    std::int64_t lastQueryCount = 0; ///< min(needs.lastQueries, T), or more if more was asked for by others
    std::span<const float> lastQueries; ///< [queryHeads, lastQueryCount, headDim], the newest last
    std::span<const float> keys; ///< [kvHeads, T, headDim]
    std::span<const float> values; ///< [kvHeads, T, headDim]
    std::span<const float> queryMeans; ///< [queryHeads, headDim]
    std::span<const float> queryCovariances; ///< [queryHeads, headDim, headDim]
    std::span<const double>
        inverseFrequencies; ///< [headDim / 2] radians per position; channel i turns with i + headDim / 2
    double ropeAmplitude = 1.0; ///< of the rotation (YaRN, LongRoPE)

    int groupSize() const { return queryHeads / kvHeads; }
    /// Attention of query head `head` in the row `row` of lastRows, [T].
    std::span<const float> lastRow(int head, std::int64_t row) const
    {
        const std::int64_t stride = lastRowHeadStride > 0 ? lastRowHeadStride : lastRowCount * tokens;
        return lastRows.subspan(
            static_cast<std::size_t>(head * stride + row * tokens), static_cast<std::size_t>(tokens));
    }
    std::span<const float> columnSum(int head) const
    {
        return columnSums.subspan(static_cast<std::size_t>(head * tokens), static_cast<std::size_t>(tokens));
    }

    /// Post-RoPE query `row` of lastQueries of head `head`, [headDim].
    std::span<const float> lastQuery(int head, std::int64_t row) const
    {
        return lastQueries.subspan(
            static_cast<std::size_t>((head * lastQueryCount + row) * headDim), static_cast<std::size_t>(headDim));
    }
    /// Keys of one KV head, [T, headDim].
    std::span<const float> keysOf(int kvHead) const { return vectorsOf(keys, kvHead); }
    std::span<const float> valuesOf(int kvHead) const { return vectorsOf(values, kvHead); }

    /// Throws MethodError if heads do not form groups, or an array that `needs` asks for is missing or has another
    /// size.
    void check(const EvidenceNeeds& needs) const;

private:
    std::span<const float> vectorsOf(std::span<const float> vectors, int kvHead) const
    {
        const auto perHead = static_cast<std::size_t>(tokens * headDim);
        return vectors.subspan(perHead * static_cast<std::size_t>(kvHead), perHead);
    }
};

} // namespace kvloupe
