// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/cell_facts.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace kvloupe {

namespace {

/// Keys that a query sees.
TokenRange visibleKeys(std::int64_t query, std::int64_t window)
{
    return {window > 0 ? std::max<std::int64_t>(0, query - window + 1) : 0, query + 1};
}

} // namespace

TokenRange blockOf(std::int64_t token, int level, std::int64_t tokens)
{
    const std::int64_t begin = token >> level << level;
    return {begin, std::min(tokens, begin + (std::int64_t{1} << level))};
}

std::optional<BlockFacts> blockFacts(
    std::span<const float> values, TokenRange queries, TokenRange keys, std::int64_t window, BlockMaximum maximum)
{
    const auto rankedBy
        = [maximum](float value) { return maximum == BlockMaximum::Magnitude ? std::abs(value) : value; };
    BlockFacts facts;
    double sum = 0.0;
    for (std::int64_t query = queries.begin; query < queries.end; ++query) {
        const TokenRange visible = visibleKeys(query, window);
        const auto row = values.subspan(
            static_cast<std::size_t>((query - queries.begin) * keys.size()), static_cast<std::size_t>(keys.size()));
        for (std::int64_t key = std::max(keys.begin, visible.begin); key < std::min(keys.end, visible.end); ++key) {
            const float value = row[static_cast<std::size_t>(key - keys.begin)];
            if (facts.cells == 0 || rankedBy(value) > rankedBy(facts.maximum)) {
                facts.maximum = value;
                facts.maximumQuery = query;
                facts.maximumKey = key;
            }
            facts.minimum = facts.cells == 0 ? value : std::min(facts.minimum, value);
            sum += static_cast<double>(value);
            ++facts.cells;
        }
    }
    if (facts.cells == 0)
        return std::nullopt;
    facts.mean = static_cast<float>(sum / static_cast<double>(facts.cells));
    return facts;
}

CellFacts cellFacts(const Recording& recording, AttentionTiles& tiles, const CellAddress& address)
{
    CellFacts facts;
    const std::int64_t window = recording.layer(address.sample, address.layer).window;
    facts.value = tiles.cell(address.sample, address.layer, address.head, address.query, address.key);
    const TokenRange visible = visibleKeys(address.query, window);
    facts.visible = visible.size();
    if (!std::isnan(facts.value) && address.key >= visible.begin && address.key < visible.end) {
        const std::vector<float> row = tiles.row(address.sample, address.layer, address.head, address.query);
        const auto seen
            = std::span(row).subspan(static_cast<std::size_t>(visible.begin), static_cast<std::size_t>(visible.size()));
        const float value = row[static_cast<std::size_t>(address.key)];
        facts.rank = 1 + std::ranges::count_if(seen, [value](float other) { return other > value; });
    }
    if (address.level > 0) {
        const TokenRange queries = blockOf(address.query, address.level, address.tokens);
        const TokenRange keys = blockOf(address.key, address.level, address.tokens);
        const std::vector<float> values = tiles.block(address.sample, address.layer, address.head, queries, keys);
        if (!values.empty())
            facts.block = blockFacts(values, queries, keys, window, BlockMaximum::Value);
    }
    return facts;
}

} // namespace kvloupe
