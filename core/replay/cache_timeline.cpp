// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/cache_timeline.h"

#include "core/methods/group_reduction.h"
#include "core/replay/explanation.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>
#include <utility>

namespace kvloupe {

std::map<int, KeepSet> CacheTimeline::aliveAfter(std::int64_t step) const
{
    const std::int64_t present = promptTokens + std::clamp<std::int64_t>(step, 0, steps);
    std::map<int, KeepSet> alive;
    for (const auto& [layer, sets] : layers) {
        KeepSet keep{granularity, {}};
        for (const HeadTimeline& timeline : sets) {
            std::vector<std::int32_t> positions;
            for (std::int64_t position = 0; position < present; ++position) {
                const std::int32_t left = timeline.evictedAt[static_cast<std::size_t>(position)];
                if (left < 0 || left > step)
                    positions.push_back(static_cast<std::int32_t>(position));
            }
            keep.sets.push_back(std::move(positions));
        }
        alive.emplace(layer, std::move(keep));
    }
    return alive;
}

int DecodeRowSource::kvHeads() const
{
    return queryHeads();
}

int DecodeRowSource::headDim() const
{
    return 0;
}

std::span<const float> DecodeRowSource::query(int /*head*/, std::int64_t /*step*/)
{
    throw MethodError("queries of generated tokens are needed, found none");
}

std::span<const float> DecodeRowSource::promptQueries(int /*head*/, std::int64_t /*count*/)
{
    throw MethodError("queries of prompt tokens are needed, found none");
}

std::span<const float> DecodeRowSource::keys(int /*kvHead*/)
{
    throw MethodError("keys are needed, found none");
}

namespace {

HeadTimeline timelineOf(std::span<const std::int32_t> kept, std::int64_t promptTokens, std::int64_t steps)
{
    const auto tokens = static_cast<std::size_t>(promptTokens + steps);
    HeadTimeline timeline;
    timeline.evictedAt.assign(tokens, -1);
    timeline.scores.assign(tokens, std::numeric_limits<float>::quiet_NaN());
    timeline.ranks.assign(tokens, 0);
    timeline.guards.assign(tokens, Guard::None);
    std::fill_n(timeline.evictedAt.begin(), promptTokens, 0);
    for (const std::int32_t position : kept)
        timeline.evictedAt[static_cast<std::size_t>(position)] = -1;
    return timeline;
}

std::vector<std::int32_t> without(std::span<const std::int32_t> from, std::span<const std::int32_t> removed)
{
    std::vector<std::int32_t> rest;
    rest.reserve(from.size());
    std::ranges::set_difference(from, removed, std::back_inserter(rest));
    return rest;
}

/// Ascending positions as half-open ranges.
std::vector<TokenRange> rangesOf(std::span<const std::int32_t> positions)
{
    std::vector<TokenRange> ranges;
    for (const std::int32_t position : positions) {
        if (ranges.empty() || ranges.back().end != position)
            ranges.push_back({position, position});
        ++ranges.back().end;
    }
    return ranges;
}

/// A cache of one set on its way through the steps. Its query heads are [firstHead, firstHead + heads).
class Branch {
public:
    Branch(const DecodeRun& run, std::size_t set, std::size_t states, DecodeRowSource* rows)
        : m_policy(run.method.decodePolicy->clone())
        , m_needs(m_policy->needs())
        , m_rows(rows)
        , m_promptTokens(run.promptTokens)
        , m_alive(run.kept.sets[set])
        , m_timeline(timelineOf(m_alive, run.promptTokens, run.steps))
    {
        if (rows != nullptr) {
            m_heads = rows->queryHeads() / static_cast<int>(states);
            m_firstHead = static_cast<int>(set) * m_heads;
        }
        DecodeStart start;
        start.layer = run.layer;
        start.numLayers = run.numLayers;
        start.head = static_cast<int>(set);
        start.queryHeads = std::max(m_heads, 1);
        start.headDim = rows != nullptr ? rows->headDim() : 0;
        start.softmaxScale = run.softmaxScale;
        start.promptTokens = run.promptTokens;
        start.alive = m_alive;
        start.capacity = run.capacity;
        start.budget = run.budget;
        start.decodeBudget = run.decodeBudget;
        std::vector<float> scores; // by position: those of a layer with a sliding window begin later
        if (static_cast<std::size_t>(run.scores.sets) == states && !run.scores.values.empty()
            && run.scores.firstPosition + run.scores.tokens == run.promptTokens) {
            scores.assign(static_cast<std::size_t>(run.scores.firstPosition), 0.0F);
            const auto ofSet = run.scores.set(static_cast<int>(set));
            scores.insert(scores.end(), ofSet.begin(), ofSet.end());
            start.scores = scores;
        }
        if (m_needs.keys) {
            m_keys = rows->keys(static_cast<int>(set) * rows->kvHeads() / static_cast<int>(states));
            start.keys = keysOfAlive();
        }
        std::vector<float> queries;
        if (m_needs.promptQueries > 0) {
            start.lastQueryCount = std::min(m_needs.promptQueries, run.promptTokens);
            for (int head = m_firstHead; head < m_firstHead + m_heads; ++head) {
                const auto ofHead = rows->promptQueries(head, start.lastQueryCount);
                queries.insert(queries.end(), ofHead.begin(), ofHead.end());
            }
            start.lastQueries = queries;
        }
        m_hidden = m_policy->begin(start);
    }

    void step(std::int64_t step)
    {
        m_alive.push_back(static_cast<std::int32_t>(m_promptTokens + step));
        DecodeStep decode;
        decode.position = m_promptTokens + step;
        decode.alive = m_alive;
        if (m_needs.keys)
            decode.keys = keysOfAlive();
        std::vector<float> query;
        if (m_needs.queries) {
            for (int head = m_firstHead; head < m_firstHead + m_heads; ++head) {
                const auto ofHead = m_rows->query(head, step);
                query.insert(query.end(), ofHead.begin(), ofHead.end());
            }
            decode.query = query;
        }
        const std::vector<std::int32_t> unseen = m_policy->hideBefore(decode);
        std::vector<std::int32_t> hidden;
        std::ranges::set_union(m_hidden, unseen, std::back_inserter(hidden));
        const std::vector<std::int32_t> visible = without(m_alive, hidden);
        noteVisible(visible, step, !hidden.empty());

        std::vector<float> attention;
        if (m_needs.attention) {
            attention = attentionOver(visible, step);
            decode.attention = attention;
        }
        DecodeVerdict verdict = m_policy->step(decode);
        note(verdict, step);
        m_alive = without(m_alive, verdict.evicted);
        m_hidden = std::move(verdict.hidden);
    }

    HeadTimeline finished()
    {
        const std::vector<std::int32_t> ranks = ranksOf(m_lastScores);
        for (std::size_t slot = 0; slot < ranks.size(); ++slot)
            if (const auto position = static_cast<std::size_t>(m_lastAlive[slot]); m_timeline.evictedAt[position] < 0)
                m_timeline.ranks[position] = ranks[slot];
        return std::move(m_timeline);
    }

private:
    KeyRows keysOfAlive() const { return {m_keys.data(), m_rows->headDim(), m_alive}; }

    /// Recorded rows restricted to the visible tokens and divided by what they retain there, then reduced over the
    /// query heads. Hidden tokens get 0.
    std::vector<float> attentionOver(std::span<const std::int32_t> visible, std::int64_t step)
    {
        HeadScores perHead(m_heads, static_cast<std::int64_t>(m_alive.size()));
        for (int head = 0; head < m_heads; ++head) {
            const auto row = m_rows->row(m_firstHead + head, step);
            const auto out = perHead.set(head);
            double retained = 0.0;
            for (const std::int32_t position : visible)
                retained += static_cast<double>(row[static_cast<std::size_t>(position)]);
            auto next = visible.begin();
            for (std::size_t slot = 0; slot < out.size() && retained > 0.0; ++slot) {
                if (next == visible.end() || *next != m_alive[slot])
                    continue;
                out[slot] = static_cast<double>(row[static_cast<std::size_t>(*next)]) / retained;
                ++next;
            }
        }
        const ReducedScores reduced
            = reduceGroups(std::move(perHead), Granularity::Layer, m_policy->groupReduction(), 1);
        std::vector<float> attention(m_alive.size());
        std::ranges::transform(reduced.scores.set(0), attention.begin(),
            [&](double value) { return static_cast<float>(value * reduced.scale); });
        return attention;
    }

    void noteVisible(std::span<const std::int32_t> visible, std::int64_t step, bool hides)
    {
        if (m_timeline.visible.empty() && !hides)
            return; // nothing was ever hidden: what is alive is seen
        m_timeline.visible.resize(static_cast<std::size_t>(step));
        m_timeline.visible.push_back(rangesOf(visible));
    }

    void note(const DecodeVerdict& verdict, std::int64_t step)
    {
        for (const std::int32_t evicted : verdict.evicted)
            m_timeline.evictedAt[static_cast<std::size_t>(evicted)] = static_cast<std::int32_t>(step + 1);
        for (std::size_t slot = 0; slot < verdict.guards.size(); ++slot)
            m_timeline.guards[static_cast<std::size_t>(m_alive[slot])] = verdict.guards[slot];
        if (verdict.scores.empty())
            return;
        for (std::size_t slot = 0; slot < verdict.scores.size(); ++slot)
            m_timeline.scores[static_cast<std::size_t>(m_alive[slot])] = verdict.scores[slot];
        noteRanks(verdict);
        m_lastAlive = m_alive;
        m_lastScores = verdict.scores;
    }

    /// Ranks of the tokens that leave. Those that stay are ranked at the end, so that a step costs no sort.
    void noteRanks(const DecodeVerdict& verdict)
    {
        constexpr std::size_t fewEvicted = 8;
        std::vector<std::int32_t> all;
        if (verdict.evicted.size() > fewEvicted)
            all = ranksOf(verdict.scores);
        for (const std::int32_t evicted : verdict.evicted) {
            const auto slot = static_cast<std::size_t>(std::ranges::lower_bound(m_alive, evicted) - m_alive.begin());
            const float score = verdict.scores[slot];
            std::int32_t rank = 0;
            if (!all.empty())
                rank = all[slot];
            else if (!std::isnan(score))
                rank = 1 + static_cast<std::int32_t>(std::ranges::count_if(verdict.scores, [score](float other) {
                    return other > score;
                }));
            m_timeline.ranks[static_cast<std::size_t>(evicted)] = rank;
        }
    }

    std::unique_ptr<DecodePolicy> m_policy;
    DecodeNeeds m_needs;
    DecodeRowSource* m_rows;
    std::int64_t m_promptTokens;
    int m_firstHead = 0;
    int m_heads = 0;
    std::span<const float> m_keys; ///< of the KV head, by position
    std::vector<std::int32_t> m_alive;
    std::vector<std::int32_t> m_hidden; ///< of m_alive, not seen by the next query
    std::vector<std::int32_t> m_lastAlive; ///< at the last step that ranked
    std::vector<float> m_lastScores;
    HeadTimeline m_timeline;
};

} // namespace

std::vector<HeadTimeline> decodeTimeline(const DecodeRun& run, DecodeRowSource* rows)
{
    const Method& method = run.method;
    std::vector<HeadTimeline> timelines;
    if (!method.decodePolicy) {
        for (const auto& set : run.kept.sets)
            timelines.push_back(timelineOf(set, run.promptTokens, run.steps));
        return timelines;
    }

    // A layer-level policy has one state; its decisions hold for all sets, which are equal then.
    const bool wholeLayer = method.decodePolicy->granularity() == Granularity::Layer;
    const std::size_t states = wholeLayer ? 1 : run.kept.sets.size();
    const DecodeNeeds needs = method.decodePolicy->needs();
    if (rows == nullptr && needs.any())
        throw MethodError("method '" + method.spec + "' needs attention rows of the generated tokens, found none");
    if (wholeLayer && needs.keys)
        throw MethodError("method '" + method.spec + "' reads the keys of a whole layer, expected those of one head");

    std::vector<Branch> branches;
    for (std::size_t set = 0; set < states; ++set)
        branches.emplace_back(run, set, states, rows);
    for (std::int64_t step = 0; step < run.steps; ++step)
        for (Branch& branch : branches)
            branch.step(step);
    for (Branch& branch : branches)
        timelines.push_back(branch.finished());
    timelines.resize(run.kept.sets.size(), timelines.front());
    return timelines;
}

} // namespace kvloupe
