// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/evidence.h"

#include "core/methods/method_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace kvloupe {

void EvidenceNeeds::merge(const EvidenceNeeds& other)
{
    lastRows = std::max(lastRows, other.lastRows);
    columnSums |= other.columnSums;
    keyNorms |= other.keyNorms;
    valueNorms |= other.valueNorms;
    outputValueNorms |= other.outputValueNorms;
    lastQueries = std::max(lastQueries, other.lastQueries);
    keys |= other.keys;
    values |= other.values;
    queryStatistics |= other.queryStatistics;
    rope |= other.rope;
}

bool EvidenceNeeds::covers(const EvidenceNeeds& other) const
{
    EvidenceNeeds both = *this;
    both.merge(other);
    return both == *this;
}

void LayerEvidence::check(const EvidenceNeeds& needs) const
{
    if (kvHeads < 1 || queryHeads < 1 || queryHeads % kvHeads != 0)
        throw MethodError(fmt::format("layer {}: found {} query heads over {} KV heads, expected a whole number of "
                                      "query heads per KV head",
            layer, queryHeads, kvHeads));
    if (tokens < 0 || lastRowCount < 0 || lastQueryCount < 0 || headDim < 0)
        throw MethodError(fmt::format("layer {}: found a negative size of the evidence", layer));

    const auto expect = [&](bool needed, std::string_view name, std::size_t found, std::int64_t expected) {
        if (needed && found != static_cast<std::size_t>(expected))
            throw MethodError(
                fmt::format("layer {}: evidence '{}' has {} values, expected {}", layer, name, found, expected));
    };
    if (lastRowCount < std::min(needs.lastRows, tokens))
        throw MethodError(fmt::format("layer {}: evidence holds the last {} attention rows, expected {}", layer,
            lastRowCount, std::min(needs.lastRows, tokens)));
    const std::int64_t rowsOfHead = lastRowCount * tokens;
    expect(needs.lastRows > 0, "lastRows", lastRows.size(),
        lastRowHeadStride > 0 ? (queryHeads - 1) * lastRowHeadStride + rowsOfHead : queryHeads * rowsOfHead);
    expect(needs.columnSums, "columnSums", columnSums.size(), queryHeads * tokens);
    expect(needs.keyNorms, "keyNorms", keyNorms.size(), kvHeads * tokens);
    expect(needs.valueNorms, "valueNorms", valueNorms.size(), kvHeads * tokens);
    expect(needs.outputValueNorms, "outputValueNorms", outputValueNorms.size(), queryHeads * tokens);
    if (lastQueryCount < std::min(needs.lastQueries, tokens))
        throw MethodError(fmt::format("layer {}: evidence holds the last {} queries, expected {}", layer,
            lastQueryCount, std::min(needs.lastQueries, tokens)));
    expect(needs.lastQueries > 0, "lastQueries", lastQueries.size(), queryHeads * lastQueryCount * headDim);
    expect(needs.keys, "keys", keys.size(), kvHeads * tokens * headDim);
    expect(needs.values, "values", values.size(), kvHeads * tokens * headDim);
    expect(needs.queryStatistics, "queryMeans", queryMeans.size(), std::int64_t{queryHeads} * headDim);
    expect(needs.queryStatistics, "queryCovariances", queryCovariances.size(),
        std::int64_t{queryHeads} * headDim * headDim);
    expect(needs.rope, "inverseFrequencies", inverseFrequencies.size(), headDim / 2);
}

} // namespace kvloupe
