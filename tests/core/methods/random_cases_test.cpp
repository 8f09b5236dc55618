// SPDX-License-Identifier: GPL-3.0-or-later

// 10,000 random cases per method against slow transcriptions of the rules in docs/methods.md.

#include "tests/core/methods/random_case.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <numeric>
#include <string>

namespace kvloupe {
namespace {

using namespace random_case;

TEST(RandomCases, FullKeepsAllOfThem)
{
    Dice dice(1);
    for (int i = 0; i < cases; ++i) {
        Case given;
        given.kvHeads = static_cast<int>(dice.between(1, 4));
        given.tokens = dice.between(1, 80);
        const BudgetCase budget = randomBudget(dice);
        std::vector<std::int32_t> all(static_cast<std::size_t>(given.tokens));
        std::iota(all.begin(), all.end(), 0);
        ASSERT_EQ(keptByCore("full", given, budget.budget), Sets(static_cast<std::size_t>(given.kvHeads), all)) << i;
    }
}

TEST(RandomCases, StreamingLlmTakesTheNewestThenSinksThenTheWindow)
{
    Dice dice(2);
    for (int i = 0; i < cases; ++i) {
        Case given;
        given.kvHeads = static_cast<int>(dice.between(1, 4));
        given.tokens = dice.between(1, 80);
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding
            = dice.oneOf<std::string>({"auto", "exact_floor", "trunc_double", "round_half_even"});
        const std::int64_t sinks = dice.oneOf<std::int64_t>({0, 1, 4, 7, 100});
        const std::string spec = "streaming_llm:n_sink=" + std::to_string(sinks) + ",budget_rounding=" + rounding;

        std::vector<std::int32_t> order{static_cast<std::int32_t>(given.tokens - 1)};
        for (std::int64_t token = 0; token < std::min(sinks, given.tokens - 1); ++token)
            order.push_back(static_cast<std::int32_t>(token));
        for (std::int64_t token = given.tokens - 2; token >= sinks; --token)
            order.push_back(static_cast<std::int32_t>(token));
        const std::int64_t count = budget.count(given.tokens, rounding);
        if (count == sinks) // all sinks fit, no recent token does
            std::iota(order.begin(), order.end(), 0);
        order.resize(static_cast<std::size_t>(count));
        std::sort(order.begin(), order.end());
        ASSERT_EQ(keptByCore(spec, given, budget.budget), Sets(static_cast<std::size_t>(given.kvHeads), order))
            << spec << ", " << budget.description << " of " << given.tokens;
    }
}

TEST(RandomCases, H2oTakesRecentTokensThenHeavyHitters)
{
    Dice dice(3);
    for (int i = 0; i < cases; ++i) {
        const Case given = randomCase(dice);
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding
            = dice.oneOf<std::string>({"auto", "exact_floor", "trunc_double", "round_half_even"});
        const std::string granularity = dice.oneOf<std::string>({"layer", "kv_head", "q_head"});
        const std::string reduction = dice.oneOf<std::string>({"mean", "max", "sum"});
        const std::string variant = dice.oneOf<std::string>({"prefill", "kvcf"});
        const std::string recentText = dice.oneOf<std::string>({"auto", "half", "0", "3", "20"});
        const std::string spec = "h2o:variant=" + variant + ",recent=" + recentText + ",granularity=" + granularity
            + ",gqa_reduce=" + reduction + ",budget_rounding=" + rounding;

        const std::int64_t count = budget.count(given.tokens, rounding);
        const bool half = recentText == "half" || (recentText == "auto" && variant == "prefill");
        const std::int64_t recent = half ? count / 2 : recentText == "auto" ? 8 : std::stoll(recentText);
        Sets expected;
        for (const auto& heads : members(given, granularity))
            expected.push_back(recentThenBest(
                reduced(given.sums, heads, reduction), given.tokens, count, std::min(recent, given.tokens)));
        ASSERT_EQ(keptByCore(spec, given, budget.budget), repeatedForLayer(expected, granularity, given.kvHeads))
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.tokens;
    }
}

TEST(RandomCases, SnapKvTakesItsWindowThenThePooledBest)
{
    Dice dice(4);
    for (int i = 0; i < cases; ++i) {
        const Case given = randomCase(dice);
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding
            = dice.oneOf<std::string>({"auto", "exact_floor", "trunc_double", "round_half_even"});
        const std::string granularity = dice.oneOf<std::string>({"layer", "kv_head", "q_head"});
        const std::string reduction = dice.oneOf<std::string>({"mean", "max", "sum"});
        const std::string pooling = dice.oneOf<std::string>({"max", "avg"});
        const std::string stage = dice.oneOf<std::string>({"before_pool", "after_pool"});
        const std::int64_t window = dice.oneOf<std::int64_t>({1, 2, 3, 8, 32, 64});
        const std::int64_t kernel = dice.oneOf<std::int64_t>({1, 3, 5, 7, 21});
        const std::string spec = "snapkv:window=" + std::to_string(window) + ",kernel=" + std::to_string(kernel)
            + ",pool=" + pooling + ",granularity=" + granularity + ",gqa_reduce=" + reduction + ",gqa_stage=" + stage
            + ",budget_rounding=" + rounding;

        const std::int64_t seen = std::min(window, given.tokens);
        std::vector<Integers> heads;
        for (const auto& rows : given.rows) {
            Integers sums(static_cast<std::size_t>(given.tokens - seen), 0);
            for (std::int64_t query = given.tokens - seen; query < given.tokens; ++query)
                for (std::size_t key = 0; key < sums.size(); ++key)
                    sums[key] += rows[static_cast<std::size_t>(query)][key];
            heads.push_back(stage == "after_pool" ? pooledWindow(sums, kernel, pooling) : sums);
        }
        const std::int64_t count = budget.count(given.tokens, rounding);
        Sets expected;
        for (const auto& chosen : members(given, granularity)) {
            Integers scores = reduced(heads, chosen, reduction);
            if (stage == "before_pool")
                scores = pooledWindow(scores, kernel, pooling);
            expected.push_back(recentThenBest(scores, given.tokens, count, seen));
        }
        ASSERT_EQ(keptByCore(spec, given, budget.budget), repeatedForLayer(expected, granularity, given.kvHeads))
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.tokens;
    }
}

/// splitmix64 as its authors publish it: a state that grows by the golden gamma, and a mix of it.
std::uint64_t splitMix64(std::uint64_t state)
{
    std::uint64_t z = state + 11400714819323198485ULL;
    z = (z ^ (z >> 30)) * 13787848793156543929ULL;
    z = (z ^ (z >> 27)) * 10723151780598845931ULL;
    return z ^ (z >> 31);
}

TEST(RandomCases, RandomTakesTheLargestHashes)
{
    EXPECT_EQ(splitMix64(0), 0xe220a8397b1dcdafULL) << "the first number of the published generator with seed 0";
    Dice dice(5);
    for (int i = 0; i < cases; ++i) {
        Case given;
        given.kvHeads = static_cast<int>(dice.between(1, 3));
        given.groupSize = static_cast<int>(dice.between(1, 3));
        given.tokens = dice.between(1, 80);
        given.layer = static_cast<int>(dice.upTo(7));
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding
            = dice.oneOf<std::string>({"auto", "exact_floor", "trunc_double", "round_half_even"});
        const std::string granularity = dice.oneOf<std::string>({"layer", "kv_head", "q_head"});
        const bool shared = dice.upTo(1) == 0;
        const std::int64_t seed = dice.upTo(1'000'000'000'000);
        const std::string spec = "random:seed=" + std::to_string(seed) + ",shared_layers=" + (shared ? "true" : "false")
            + ",granularity=" + granularity + ",budget_rounding=" + rounding;

        Sets expected;
        for (std::size_t set = 0; set < members(given, granularity).size(); ++set) {
            std::vector<std::uint64_t> scores;
            for (std::uint64_t token = 0; token < static_cast<std::uint64_t>(given.tokens); ++token) {
                std::uint64_t hash = splitMix64(static_cast<std::uint64_t>(seed));
                hash = splitMix64(hash ^ static_cast<std::uint64_t>(shared ? 0 : given.layer));
                hash = splitMix64(hash ^ static_cast<std::uint64_t>(set));
                scores.push_back(splitMix64(hash ^ token) >> 40);
            }
            expected.push_back(recentThenBest(scores, given.tokens, budget.count(given.tokens, rounding), 0));
        }
        ASSERT_EQ(keptByCore(spec, given, budget.budget), repeatedForLayer(expected, granularity, given.kvHeads))
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.tokens;
    }
}

TEST(RandomCases, OneAndManyThreadsKeepTheSame)
{
    Dice dice(6);
    std::vector<Case> layers;
    for (int layer = 0; layer < 12; ++layer) {
        layers.push_back(randomCase(dice));
        while (layers.back().queryHeads() != layers.front().queryHeads()
            || layers.back().kvHeads != layers.front().kvHeads || layers.back().tokens != layers.front().tokens)
            layers.back() = randomCase(dice);
        layers.back().layer = layer;
    }
    std::vector<EvidenceTable> tables;
    std::vector<LayerEvidence> evidence;
    for (const Case& layer : layers) {
        tables.push_back(layer.evidence());
        evidence.push_back(tables.back().view);
    }
    const std::int64_t tokens = layers.front().tokens;
    const PromptLayout layout(tokens, tokens, {{tokens * 3 / 4, tokens, SpanKind::Question, -1, ""}});
    for (const char* spec : {"full", "streaming_llm", "h2o", "observed_attention", "tova", "snapkv:window=4",
             "pyramidkv:window=4,beta=2", "random", "finch", "simlayerkv:n_initial=1,n_recent=4,threshold=0.2"})
        for (const char* keep : {"0.1", "0.5", "0.9"}) {
            const auto run = [&](std::size_t threads) {
                const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
                return ScoredSample(parseMethod(spec), layout, evidence).choose(Budget::keep(keep)).kept;
            };
            EXPECT_EQ(run(1), run(8)) << spec << " " << keep;
        }
}

TEST(RandomCases, LargerBudgetsKeepWhatSmallerOnesKeep)
{
    Dice dice(7);
    for (int i = 0; i < cases; ++i) {
        const Case given = randomCase(dice);
        const EvidenceTable table = given.evidence();
        const PromptLayout layout(given.tokens, given.tokens,
            {{given.tokens - dice.between(1, given.tokens), given.tokens, SpanKind::Question, -1, ""}});
        const auto spec = dice.oneOf<std::string>({"full", "h2o@kvcf:recent=3", "observed_attention", "tova",
            "tova@kvpress", "snapkv:window=4", "random", "finch"});
        const ScoredSample scored(parseMethod(spec), layout, std::span(&table.view, 1));
        const std::int64_t smaller = dice.between(1, given.tokens);
        const std::int64_t larger = dice.between(smaller, given.tokens);
        const Sets few = scored.chooseLayer(Budget::capacity(smaller), given.layer).sets;
        const Sets many = scored.chooseLayer(Budget::capacity(larger), given.layer).sets;
        for (std::size_t set = 0; set < few.size(); ++set) {
            if (spec != "full") {
                ASSERT_EQ(few[set].size(), static_cast<std::size_t>(smaller)) << spec;
            }
            ASSERT_TRUE(std::ranges::includes(many[set], few[set]))
                << "case " << i << ": " << spec << ", " << smaller << " and " << larger << " of " << given.tokens;
        }
    }
}

} // namespace
} // namespace kvloupe
