// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/mean_rows.h"

#include "core/metrics/row_pass.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

namespace kvloupe {

namespace {

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// Rows of the prompt tokens, summed over the queries that were added, per head.
class RowSums {
public:
    RowSums(int heads, std::int64_t promptTokens)
        : m_promptTokens(promptTokens)
        , m_sums(index(heads * promptTokens))
        , m_counts(index(heads))
    {
    }

    void add(int head, std::span<const float> row)
    {
        ++m_counts[index(head)];
        const auto sums = std::span(m_sums).subspan(index(head * m_promptTokens), index(m_promptTokens));
        for (std::size_t key = 0; key < std::min(row.size(), sums.size()); ++key)
            sums[key] += static_cast<double>(row[key]);
    }

    std::vector<float> means() const
    {
        std::vector<float> result(m_sums.size(), std::numeric_limits<float>::quiet_NaN());
        for (std::size_t head = 0; head < m_counts.size(); ++head)
            for (std::size_t at = head * index(m_promptTokens);
                 m_counts[head] > 0 && at < (head + 1) * index(m_promptTokens); ++at)
                result[at] = static_cast<float>(m_sums[at] / m_counts[head]);
        return result;
    }

private:
    std::int64_t m_promptTokens;
    std::vector<double> m_sums;
    std::vector<int> m_counts;
};

} // namespace

std::span<const float> MeanRows::head(int head, std::int64_t promptTokens) const
{
    if (queries.size() == 0)
        return {};
    return std::span(values).subspan(index(head * promptTokens), index(promptTokens));
}

MeanRows meanRows(const Recording& recording, AttentionTiles& tiles, int sample, int layer, std::int64_t most)
{
    const SampleInfo& info = recording.sample(sample);
    const LayerInfo& layerInfo = recording.layer(sample, layer);
    const std::int64_t prompt = info.promptTokens;
    const int heads = recording.model().numHeads;
    const bool hasGenerated = info.totalTokens > prompt && (layerInfo.hasQueriesKeys || layerInfo.decodeRows > 0);
    MeanRows result;
    result.queries = hasGenerated ? TokenRange{prompt, std::min(info.totalTokens, prompt + most)}
                                  : TokenRange{std::max<std::int64_t>(0, prompt - most), prompt};
    RowSums sums(heads, prompt);
    if (layerInfo.hasQueriesKeys) {
        std::vector<int> all(index(heads));
        std::iota(all.begin(), all.end(), 0);
        std::mutex mutex;
        forEachRowBlock(
            recording, sample, layer, all, result.queries.begin, result.queries.end, [&](const RowBlock& block) {
                const std::lock_guard lock(mutex);
                for (std::int64_t row = 0; row < block.rows; ++row) {
                    // Cells after the query's own are 0; those after the block were not computed.
                    const auto cells = std::span(block.cells + row * block.stride, index(block.queryBegin + row + 1));
                    sums.add(block.head, cells);
                }
            });
    } else if (!layerInfo.mapHeads.empty()) {
        for (const int head : layerInfo.mapHeads) {
            for (std::int64_t query = result.queries.begin; query < result.queries.end; ++query) {
                const std::vector<float> row = tiles.row(sample, layer, head, query);
                if (std::ranges::any_of(row, [](float value) { return value > 0.0F; })) // else it was not kept
                    sums.add(head, row);
            }
        }
    } else if (layerInfo.hasTail) {
        const std::vector<float> tail = recording.readTail(sample, layer);
        result.queries = {prompt - layerInfo.tailRows, prompt};
        const auto total = index(info.totalTokens);
        for (int head = 0; head < heads; ++head)
            for (std::int64_t row = 0; row < layerInfo.tailRows; ++row)
                sums.add(head, std::span(tail).subspan(index(head * layerInfo.tailRows + row) * total, total));
    } else {
        return {};
    }
    result.values = sums.means();
    return result;
}

double lostAttention(std::span<const float> row, std::span<const std::int32_t> kept)
{
    if (row.empty() || std::isnan(row.front()))
        return std::numeric_limits<double>::quiet_NaN();
    double lost = 0.0;
    auto next = kept.begin();
    for (std::int32_t position = 0; position < static_cast<std::int32_t>(row.size()); ++position) {
        while (next != kept.end() && *next < position)
            ++next;
        if (next == kept.end() || *next != position)
            lost += static_cast<double>(row[static_cast<std::size_t>(position)]);
    }
    return std::clamp(lost, 0.0, 1.0);
}

} // namespace kvloupe
