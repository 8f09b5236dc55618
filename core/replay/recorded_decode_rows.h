// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/attention/attention_rows.h"
#include "core/recording/recording.h"
#include "core/replay/cache_timeline.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Rows of generated tokens of one layer, computed from recorded queries and keys, some steps of all heads at a time:
/// memory is O(heads x block x T) beside the keys and queries of the layer.
class RecordedDecodeRows final : public DecodeRowSource {
public:
    /// Reads the layer's keys and the queries of its first `steps` generated tokens. Throws RecordingError if they were
    /// not recorded. The vectors that `needs` names are kept beside the rows.
    RecordedDecodeRows(
        const Recording& recording, int sample, int layer, std::int64_t steps, const DecodeNeeds& needs = {});

    int queryHeads() const override { return m_queryHeads; }
    int kvHeads() const override { return static_cast<int>(m_keys.size()); }
    int headDim() const override { return m_headDim; }
    std::span<const float> row(int head, std::int64_t step) override;
    std::span<const float> query(int head, std::int64_t step) override;
    std::span<const float> promptQueries(int head, std::int64_t count) override;
    std::span<const float> keys(int kvHead) override;

private:
    void computeBlock(std::int64_t firstStep);

    int m_queryHeads;
    int m_headDim;
    std::int64_t m_promptTokens;
    std::int64_t m_steps;
    std::int64_t m_stride;
    AttentionShape m_shape;
    std::vector<PackedKeys> m_keys; ///< per KV head
    std::vector<std::vector<float>> m_plainKeys; ///< per KV head, [promptTokens + steps, headDim]; if asked for
    std::vector<float> m_queries; ///< [queryHeads, steps, headDim]
    std::int64_t m_promptQueryCount = 0;
    std::vector<float> m_promptQueries; ///< [queryHeads, count, headDim]
    std::vector<AlignedFloats> m_block; ///< per query head, [blockSteps, stride]
    std::int64_t m_blockBegin = -1;
};

} // namespace kvloupe
