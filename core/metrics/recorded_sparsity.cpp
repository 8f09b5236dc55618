// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/recorded_sparsity.h"

#include "core/metrics/row_pass.h"
#include "core/recording/row_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kvloupe {

namespace {

constexpr std::size_t tops = RowOrder::topCounts.size();

struct StoredPart {
    TokenArray array;
    std::vector<float> SparsitySeries::*values;
    std::size_t perRow;
};

constexpr std::array storedParts{
    StoredPart{TokenArray::RowEntropy, &SparsitySeries::entropy, 1},
    StoredPart{TokenArray::RowSinkMass, &SparsitySeries::sinkMass, 1},
    StoredPart{TokenArray::RowMax, &SparsitySeries::maximum, 1},
    StoredPart{TokenArray::RowGini, &SparsitySeries::gini, 1},
    StoredPart{TokenArray::RowTopMass, &SparsitySeries::topMass, tops},
};

/// Hands the rows of `heads` out of `all`, [every query head, T, perRow].
void distribute(std::span<const float> all, const StoredPart& part, std::int64_t tokens, std::span<const int> heads,
    std::vector<SparsitySeries>& series)
{
    const std::size_t perHead = static_cast<std::size_t>(tokens) * part.perRow;
    for (std::size_t index = 0; index < heads.size(); ++index) {
        const auto ofHead = all.subspan(static_cast<std::size_t>(heads[index]) * perHead, perHead);
        (series[index].*part.values).assign(ofHead.begin(), ofHead.end());
    }
}

/// Puts the rows of all heads together again.
std::vector<float> collected(const std::vector<SparsitySeries>& series, const StoredPart& part)
{
    std::vector<float> all;
    for (const SparsitySeries& one : series)
        all.insert(all.end(), (one.*part.values).begin(), (one.*part.values).end());
    return all;
}

} // namespace

std::vector<SparsitySeries> recordedSparsity(
    const Recording& recording, int sample, int layer, std::span<const int> heads, RecordingCache* cache)
{
    const std::int64_t tokens = recording.sample(sample).totalTokens;
    const auto allHeads = static_cast<std::size_t>(recording.model().numHeads);
    std::vector<SparsitySeries> result(heads.size());
    std::vector<const StoredPart*> missing;
    for (const StoredPart& part : storedParts) {
        const std::size_t expected = allHeads * static_cast<std::size_t>(tokens) * part.perRow;
        if (recording.has(sample, layer, part.array)) {
            const std::vector<float> all = recording.read(sample, layer, part.array);
            if (all.size() != expected)
                throw RecordingError(fmt::format("{}: sample {}, layer {}: {} has {} values, expected {} for {} heads",
                    recording.path().string(), sample, layer, tokenArrayName(part.array), all.size(), expected,
                    allHeads));
            distribute(all, part, tokens, heads, result);
        } else if (const auto kept
            = cache == nullptr ? std::nullopt : cache->find(sample, layer, tokenArrayName(part.array), expected)) {
            distribute(*kept, part, tokens, heads, result);
        } else {
            missing.push_back(&part);
        }
    }
    if (missing.empty())
        return result;
    if (!recording.layer(sample, layer).hasQueriesKeys)
        throw RecordingError(fmt::format("{}: sample {}, layer {}: {} is needed and was not recorded, nor queries and "
                                         "keys to make it from; record with --with row-order, or --record qk",
            recording.path().string(), sample, layer, tokenArrayName(missing.front()->array)));

    const auto isMissing = [&](TokenArray array) {
        return std::ranges::any_of(missing, [&](const StoredPart* part) { return part->array == array; });
    };
    for (const StoredPart* part : missing)
        for (SparsitySeries& series : result)
            (series.*part->values).resize(static_cast<std::size_t>(tokens) * part->perRow);
    const bool sorts = isMissing(TokenArray::RowGini) || isMissing(TokenArray::RowTopMass);
    forEachRowBlock(recording, sample, layer, heads, 0, tokens, [&](const RowBlock& block) {
        SparsitySeries& series = result[static_cast<std::size_t>(
            std::distance(heads.begin(), std::ranges::lower_bound(heads, block.head)))];
        std::vector<float> cells;
        for (std::int64_t row = 0; row < block.rows; ++row) {
            const auto at = static_cast<std::size_t>(block.queryBegin + row);
            const RowStatistics& statistics = block.statistics[static_cast<std::size_t>(row)];
            if (isMissing(TokenArray::RowEntropy))
                series.entropy[at] = statistics.entropy;
            if (isMissing(TokenArray::RowSinkMass))
                series.sinkMass[at] = statistics.sinkMass;
            if (isMissing(TokenArray::RowMax))
                series.maximum[at] = statistics.maximum;
            if (!sorts)
                continue;
            const auto visible = block.visible(row);
            cells.assign(visible.begin(), visible.end());
            const RowOrder order = rowOrder(cells);
            if (isMissing(TokenArray::RowGini))
                series.gini[at] = order.gini;
            if (isMissing(TokenArray::RowTopMass))
                std::ranges::copy(order.topMass, series.topMass.begin() + static_cast<std::ptrdiff_t>(at * tops));
        }
    });
    if (cache != nullptr && heads.size() == allHeads)
        for (const StoredPart* part : missing)
            cache->store(sample, layer, tokenArrayName(part->array), collected(result, *part));
    return result;
}

} // namespace kvloupe
