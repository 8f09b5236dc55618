// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

// Decode policies on whole maps: the prompt is cut as a replay cuts it, then token after token is generated.

#include "core/methods/method_registry.h"
#include "core/replay/cache_timeline.h"
#include "core/replay/replay.h"
#include "tests/core/methods/evidence_table.h"
#include "tests/core/methods/random_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

namespace kvloupe {

/// Rows of whole maps, [head][query][key], the queries from the prompt's end on.
class MapRows final : public DecodeRowSource {
public:
    MapRows(const std::vector<std::vector<std::vector<float>>>& maps, std::int64_t promptTokens)
        : m_maps(maps)
        , m_promptTokens(promptTokens)
    {
    }
    int queryHeads() const override { return static_cast<int>(m_maps.size()); }
    std::span<const float> row(int head, std::int64_t step) override
    {
        return m_maps[static_cast<std::size_t>(head)][static_cast<std::size_t>(m_promptTokens + step)];
    }

private:
    const std::vector<std::vector<std::vector<float>>>& m_maps;
    std::int64_t m_promptTokens;
};

/// What every set holds after the prompt and after each generated token, and what each generated query saw.
struct PolicyCourse {
    std::vector<random_case::Sets> alive; ///< [set][step], 0 = after the prompt
    std::vector<random_case::Sets> seen; ///< [set][step], 0 = by the first generated query
};

inline PolicyCourse policyCourse(const std::string& spec, const std::vector<std::vector<std::vector<float>>>& maps,
    int kvHeads, std::int64_t promptTokens, const Budget& budget)
{
    auto prompt = maps;
    for (auto& map : prompt)
        map.resize(static_cast<std::size_t>(promptTokens));
    const EvidenceTable table = EvidenceTable::fromMaps(prompt, kvHeads);
    const Method method = parseMethod(spec);
    const ScoredSample scored(method, PromptLayout(promptTokens), std::span(&table.view, 1));
    const KeepSet kept = scored.choose(budget).kept.at(0);

    CacheTimeline timeline;
    timeline.promptTokens = promptTokens;
    timeline.steps = static_cast<std::int64_t>(maps.front().size()) - promptTokens;
    MapRows rows(maps, promptTokens);
    DecodeRun run{method, kept, scored.scores().front()};
    run.promptTokens = promptTokens;
    run.steps = timeline.steps;
    run.capacity = static_cast<std::int64_t>(kept.sets.front().size());
    timeline.layers[0] = decodeTimeline(run, &rows);

    PolicyCourse course;
    course.alive.resize(kept.sets.size());
    course.seen.resize(kept.sets.size());
    for (std::int64_t step = 0; step <= timeline.steps; ++step) {
        const KeepSet alive = timeline.aliveAfter(step).at(0);
        for (std::size_t set = 0; set < alive.sets.size(); ++set)
            course.alive[set].push_back(alive.sets[set]);
    }
    for (std::size_t set = 0; set < kept.sets.size(); ++set) {
        const auto& visible = timeline.layers[0][set].visible;
        for (std::size_t step = 0; step < static_cast<std::size_t>(timeline.steps); ++step) {
            auto& seen = course.seen[set].emplace_back();
            // Steps before the first that hid anything have no ranges: what was alive was seen.
            if (step >= visible.size() || visible[step].empty()) {
                seen = course.alive[set][step];
                seen.push_back(static_cast<std::int32_t>(promptTokens) + static_cast<std::int32_t>(step));
                continue;
            }
            for (const TokenRange& range : visible[step])
                for (std::int64_t position = range.begin; position < range.end; ++position)
                    seen.push_back(static_cast<std::int32_t>(position));
        }
    }
    return course;
}

namespace random_case {

/// A prompt and generated tokens, attention in few levels. Rows do not sum to one, so that whoever forgets to
/// renormalise is found out.
struct DecodeCase {
    int kvHeads = 1;
    int groupSize = 1;
    std::int64_t promptTokens = 1;
    std::int64_t tokens = 1;
    std::vector<std::vector<std::vector<float>>> maps; ///< [query head][query][key]

    int queryHeads() const { return kvHeads * groupSize; }

    /// Attention of a query over `visible` (ascending; 0 for others of `cache`), reduced over heads as policies get it.
    std::vector<float> attention(const std::vector<std::int32_t>& cache, const std::vector<std::int32_t>& visible,
        std::int64_t query, const std::vector<int>& heads, const std::string& reduction) const
    {
        std::vector<float> result;
        for (const std::int32_t position : cache) {
            double value = 0.0;
            for (const int head : heads) {
                const auto& row = maps[static_cast<std::size_t>(head)][static_cast<std::size_t>(query)];
                double retained = 0.0;
                for (const std::int32_t other : visible)
                    retained += static_cast<double>(row[static_cast<std::size_t>(other)]);
                const bool isSeen = std::find(visible.begin(), visible.end(), position) != visible.end();
                const double share = isSeen && retained > 0.0
                    ? static_cast<double>(row[static_cast<std::size_t>(position)]) / retained
                    : 0.0;
                value = reduction == "max" ? std::max(value, share) : value + share;
            }
            if (reduction == "mean")
                value *= 1.0 / static_cast<double>(heads.size());
            result.push_back(static_cast<float>(value));
        }
        return result;
    }
};

inline DecodeCase randomDecodeCase(Dice& dice)
{
    DecodeCase made;
    made.kvHeads = static_cast<int>(dice.between(1, 2));
    made.groupSize = static_cast<int>(dice.between(1, 2));
    made.promptTokens = dice.between(1, 16);
    made.tokens = made.promptTokens + dice.between(0, 16);
    const std::int64_t levels = dice.oneOf<std::int64_t>({1, 2, 5, 64});
    for (int head = 0; head < made.queryHeads(); ++head) {
        auto& map = made.maps.emplace_back();
        for (std::int64_t query = 0; query < made.tokens; ++query) {
            auto& row = map.emplace_back();
            for (std::int64_t key = 0; key <= query; ++key)
                row.push_back(static_cast<float>(dice.upTo(levels)));
        }
    }
    return made;
}

/// Query heads of each set.
inline std::vector<std::vector<int>> members(const DecodeCase& given, const std::string& granularity)
{
    Case heads;
    heads.kvHeads = given.kvHeads;
    heads.groupSize = given.groupSize;
    return members(heads, granularity);
}

/// `count` of `cache`: the `recent` newest, then the largest scores.
inline std::vector<std::int32_t> keptOf(
    const std::vector<std::int32_t>& cache, const std::vector<float>& scores, std::int64_t count, std::int64_t recent)
{
    const auto tokens = static_cast<std::int64_t>(cache.size());
    if (tokens <= count)
        return cache;
    std::vector<std::int32_t> kept;
    for (const std::int32_t index : recentThenBest(scores, tokens, count, std::min(recent, tokens)))
        kept.push_back(cache[static_cast<std::size_t>(index)]);
    return kept;
}

} // namespace random_case

} // namespace kvloupe
