// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/cache_timeline.h"

#include "core/methods/method_registry.h"
#include "tests/core/methods/worked_maps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

using Positions = std::vector<std::int32_t>;
using Maps = std::vector<std::vector<std::vector<float>>>;

/// Rows of whole maps, the queries from the prompt's end on.
class MapRows final : public DecodeRowSource {
public:
    MapRows(Maps maps, std::int64_t promptTokens)
        : m_maps(std::move(maps))
        , m_promptTokens(promptTokens)
    {
    }
    int queryHeads() const override { return static_cast<int>(m_maps.size()); }
    std::span<const float> row(int head, std::int64_t step) override
    {
        return m_maps[static_cast<std::size_t>(head)][static_cast<std::size_t>(m_promptTokens + step)];
    }

private:
    Maps m_maps;
    std::int64_t m_promptTokens;
};

Positions firstPositions(std::int64_t count)
{
    Positions positions(static_cast<std::size_t>(count));
    std::iota(positions.begin(), positions.end(), 0);
    return positions;
}

/// Keeps the `size` tokens that the newest query looks at most, itself included: TOVA, as a check of what policies are
/// given.
class LastQueryPolicy final : public DecodePolicy {
public:
    explicit LastQueryPolicy(std::vector<std::vector<float>>* seen = nullptr)
        : m_seen(seen)
    {
    }
    std::unique_ptr<DecodePolicy> clone() const override { return std::make_unique<LastQueryPolicy>(*this); }
    Granularity granularity() const override { return Granularity::Layer; }
    DecodeNeeds needs() const override { return {true, false, false, 0}; }
    std::vector<std::int32_t> begin(const DecodeStart& start) override
    {
        m_capacity = start.capacity;
        return {};
    }
    DecodeVerdict step(const DecodeStep& step) override
    {
        if (m_seen)
            m_seen->emplace_back(step.attention.begin(), step.attention.end());
        Positions order(step.alive.size());
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
            return step.attention[static_cast<std::size_t>(a)] > step.attention[static_cast<std::size_t>(b)];
        });
        DecodeVerdict verdict;
        for (std::size_t i = static_cast<std::size_t>(m_capacity); i < order.size(); ++i)
            verdict.evicted.push_back(step.alive[static_cast<std::size_t>(order[i])]);
        std::sort(verdict.evicted.begin(), verdict.evicted.end());
        return verdict;
    }

private:
    std::vector<std::vector<float>>* m_seen;
    std::int64_t m_capacity = 0;
};

/// H2O's running sums with `heavy` hitters and `recent` tokens, started from the scores of the prefill.
class RunningSumPolicy final : public DecodePolicy {
public:
    RunningSumPolicy(std::size_t heavy, std::size_t recent)
        : m_heavy(heavy)
        , m_recent(recent)
    {
    }
    std::unique_ptr<DecodePolicy> clone() const override { return std::make_unique<RunningSumPolicy>(*this); }
    Granularity granularity() const override { return Granularity::KvHead; }
    DecodeNeeds needs() const override { return {true, false, false, 0}; }
    std::vector<std::int32_t> begin(const DecodeStart& start) override
    {
        for (const std::int32_t position : start.alive)
            m_sums[position] = static_cast<double>(start.scores[static_cast<std::size_t>(position)]);
        return {};
    }
    DecodeVerdict step(const DecodeStep& step) override
    {
        for (std::size_t i = 0; i < step.alive.size(); ++i)
            m_sums[step.alive[i]] += 100.0 * static_cast<double>(step.attention[i]);
        Positions candidates(step.alive.begin(), step.alive.end() - static_cast<std::ptrdiff_t>(m_recent));
        std::stable_sort(candidates.begin(), candidates.end(),
            [&](std::int32_t a, std::int32_t b) { return m_sums[a] > m_sums[b]; });
        DecodeVerdict verdict;
        verdict.evicted.assign(candidates.begin() + static_cast<std::ptrdiff_t>(m_heavy), candidates.end());
        std::sort(verdict.evicted.begin(), verdict.evicted.end());
        return verdict;
    }

private:
    std::size_t m_heavy;
    std::size_t m_recent;
    std::map<std::int32_t, double> m_sums;
};

/// Hides the oldest token from the next query and evicts nothing.
class HidingPolicy final : public DecodePolicy {
public:
    explicit HidingPolicy(std::vector<std::vector<float>>* seen)
        : m_seen(seen)
    {
    }
    std::unique_ptr<DecodePolicy> clone() const override { return std::make_unique<HidingPolicy>(*this); }
    Granularity granularity() const override { return Granularity::KvHead; }
    DecodeNeeds needs() const override { return {true, false, false, 0}; }
    std::vector<std::int32_t> begin(const DecodeStart&) override { return {}; }
    std::vector<std::int32_t> hideBefore(const DecodeStep& step) override
    {
        EXPECT_TRUE(step.attention.empty());
        return step.position == 6 ? Positions{1} : Positions{};
    }
    DecodeVerdict step(const DecodeStep& step) override
    {
        m_seen->emplace_back(step.attention.begin(), step.attention.end());
        DecodeVerdict verdict;
        verdict.hidden = {0};
        return verdict;
    }

private:
    std::vector<std::vector<float>>* m_seen;
};

/// Positions alive after each step, starting with the prefill.
std::vector<Positions> course(const Method& method, const Positions& kept, const Scores& scores,
    std::int64_t promptTokens, std::int64_t steps, std::int64_t capacity, DecodeRowSource* rows)
{
    CacheTimeline timeline;
    timeline.granularity = Granularity::KvHead;
    timeline.promptTokens = promptTokens;
    timeline.steps = steps;
    const KeepSet keep{Granularity::KvHead, {kept}};
    DecodeRun run{method, keep, scores};
    run.promptTokens = promptTokens;
    run.steps = steps;
    run.capacity = capacity;
    timeline.layers[0] = decodeTimeline(run, rows);
    std::vector<Positions> result;
    for (std::int64_t step = 0; step <= steps; ++step)
        result.push_back(timeline.aliveAfter(step).at(0).sets.at(0));
    return result;
}

TEST(CacheTimeline, SlidesOverSinksAndRecentTokensAsTheWorkedExampleDoes)
{
    const Method method = parseMethod("streaming_llm@paper:n_sink=2");
    EXPECT_THAT(course(method, firstPositions(5), {}, 5, 3, 5, nullptr),
        ElementsAre(ElementsAre(0, 1, 2, 3, 4), ElementsAre(0, 1, 3, 4, 5), ElementsAre(0, 1, 4, 5, 6),
            ElementsAre(0, 1, 5, 6, 7)));
}

TEST(CacheTimeline, SlidesLikeAListThatIsCutAfterEveryToken)
{
    std::mt19937 random(3);
    for (int repeat = 0; repeat < 2000; ++repeat) {
        const auto sinks = static_cast<std::int64_t>(random() % 6);
        const auto prompt = static_cast<std::int64_t>(1 + random() % 20);
        const auto steps = static_cast<std::int64_t>(random() % 20);
        const auto capacity = std::min(static_cast<std::int64_t>(1 + random() % 22), prompt);
        const auto cut = [&](Positions cache) {
            while (static_cast<std::int64_t>(cache.size()) > capacity)
                cache.erase(cache.begin() + std::min(sinks, capacity - 1));
            return cache;
        };
        std::vector<Positions> expected{cut(firstPositions(prompt))};
        for (std::int64_t step = 0; step < steps; ++step) {
            Positions cache = expected.back();
            cache.push_back(static_cast<std::int32_t>(prompt + step));
            expected.push_back(cut(cache));
        }
        const Method method = parseMethod("streaming_llm:phase=every_step,n_sink=" + std::to_string(sinks));
        ASSERT_EQ(course(method, expected.front(), {}, prompt, steps, capacity, nullptr), expected)
            << sinks << " sinks, " << capacity << " of " << prompt << ", " << steps << " steps";
    }
}

TEST(CacheTimeline, RenormalisesRowsOverTheAliveTokensAndTakesTheMeanOverHeads)
{
    // TOVA of docs/methods.md, size 4, a prompt of 6 tokens.
    std::vector<std::vector<float>> seen;
    Method method;
    method.decodePolicy = std::make_shared<LastQueryPolicy>(&seen);
    MapRows rows({workedHead0(), workedHead1()}, 6);
    EXPECT_THAT(course(method, {0, 2, 4, 5}, {}, 6, 6, 4, &rows),
        ElementsAre(ElementsAre(0, 2, 4, 5), ElementsAre(0, 2, 5, 6), ElementsAre(0, 5, 6, 7), ElementsAre(0, 5, 7, 8),
            ElementsAre(0, 5, 7, 9), ElementsAre(0, 5, 7, 10), ElementsAre(0, 5, 7, 11)));
    EXPECT_THAT(
        seen.front(), Pointwise(FloatNear(6e-5F), std::vector<float>{0.2742F, 0.1272F, 0.1093F, 0.2706F, 0.2186F}));
}

TEST(CacheTimeline, CarriesTheScoresOfThePrefillOn)
{
    // h2o_drop of docs/methods.md: 3 heavy, 2 recent, a prompt of 8 tokens of head 0.
    const auto map = workedHead0();
    Scores scores;
    scores.sets = 1;
    scores.tokens = 8;
    scores.values.assign(8, 0.0F);
    for (std::size_t query = 0; query < 8; ++query)
        for (std::size_t key = 0; key <= query; ++key)
            scores.values[key] += map[query][key];
    Method method;
    method.decodePolicy = std::make_shared<RunningSumPolicy>(3, 2);
    MapRows rows({map}, 8);
    EXPECT_THAT(course(method, {0, 1, 2, 6, 7}, scores, 8, 4, 5, &rows),
        ElementsAre(ElementsAre(0, 1, 2, 6, 7), ElementsAre(0, 1, 2, 7, 8), ElementsAre(0, 1, 2, 8, 9),
            ElementsAre(0, 1, 2, 9, 10), ElementsAre(0, 1, 2, 10, 11)));
}

TEST(CacheTimeline, CarriesTheScoresOfALayerWithASlidingWindowOnByPosition)
{
    Scores scores;
    scores.sets = 1;
    scores.tokens = 2;
    scores.firstPosition = 2;
    scores.values = {5.0F, 90.0F};
    Method method;
    method.decodePolicy = std::make_shared<RunningSumPolicy>(1, 1);
    MapRows rows({workedHead0()}, 4);
    // q4: 40 5 20 10 25. Token 2 gets more of it than token 3, whose sum is larger.
    EXPECT_THAT(course(method, {2, 3}, scores, 4, 1, 2, &rows), ElementsAre(ElementsAre(2, 3), ElementsAre(3, 4)));
}

TEST(CacheTimeline, GivesHiddenTokensNoAttentionAndKeepsThem)
{
    std::vector<std::vector<float>> seen;
    Method method;
    method.decodePolicy = std::make_shared<HidingPolicy>(&seen);
    MapRows rows({workedHead0()}, 5);
    const auto alive = course(method, firstPositions(5), {}, 5, 2, 5, &rows);
    EXPECT_THAT(alive.back(), ElementsAre(0, 1, 2, 3, 4, 5, 6));
    // q5: 35 5 15 5 20 20. q6: 30 5 20 5 10 10 20 without tokens 0 and 1, of 65.
    EXPECT_THAT(seen.at(0), Pointwise(FloatNear(1e-6F), std::vector<float>{.35F, .05F, .15F, .05F, .20F, .20F}));
    EXPECT_THAT(seen.at(1),
        Pointwise(FloatNear(1e-6F), std::vector<float>{0, 0, 20.F / 65, 5.F / 65, 10.F / 65, 10.F / 65, 20.F / 65}));
}

TEST(CacheTimeline, KeepsEveryGeneratedTokenWithoutAPolicy)
{
    EXPECT_THAT(course(parseMethod("snapkv"), {1, 3}, {}, 4, 2, 2, nullptr),
        ElementsAre(ElementsAre(1, 3), ElementsAre(1, 3, 4), ElementsAre(1, 3, 4, 5)));
}

TEST(CacheTimeline, SaysThatAPolicyLacksItsRows)
{
    Method method;
    method.spec = "tova";
    method.decodePolicy = std::make_shared<LastQueryPolicy>();
    EXPECT_THROW(course(method, {0}, {}, 1, 1, 1, nullptr), MethodError);
}

} // namespace
} // namespace kvloupe
