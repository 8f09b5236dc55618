// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/pyramidkv.h"

#include "core/methods/snapkv.h"
#include "tests/core/methods/random_case.h"
#include "tests/core/methods/worked_example.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace kvloupe {
namespace {

using namespace random_case;
using namespace worked_example;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Kind = PyramidSchedule::Kind;

Integers shares(const PyramidSchedule& schedule, int layers, std::int64_t tokens, const Budget& budget)
{
    Integers result;
    for (int layer = 0; layer < layers; ++layer)
        result.push_back(schedule.share(layer, layers, tokens, budget).tokens);
    return result;
}

std::int64_t sumOf(const Integers& values)
{
    return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

TEST(PyramidKv, SpreadsSixTokensOverThreeLayers)
{
    const Budget half = Budget::compressionRatio("0.5");
    EXPECT_THAT(shares({Kind::Kvcf, 2, 2, {}}, 3, 12, Budget::capacity(6)), ElementsAre(8, 6, 4));
    EXPECT_THAT(shares({Kind::Exact, 2, 2, {}}, 3, 12, Budget::capacity(6)), ElementsAre(8, 6, 4));
    EXPECT_THAT(shares({Kind::Kvpress, 2, 2, {}}, 3, 12, half), ElementsAre(9, 6, 3));
}

TEST(PyramidKv, KeepsPerLayerWhatTheWorkedExampleKeeps)
{
    const auto keptIn = [](int layer, const std::string& spec, const Budget& budget) {
        return kept(spec + ":window=2,kernel=3,pool=avg,beta=2", head0, budget, PromptLayout(12), layer, 3);
    };
    EXPECT_THAT(keptIn(0, "pyramidkv@kvcf", Budget::capacity(6)), ElementsAre(1, 3, 4, 5, 7, 8, 10, 11));
    EXPECT_THAT(keptIn(1, "pyramidkv@kvcf", Budget::capacity(6)), ElementsAre(1, 3, 7, 8, 10, 11));
    EXPECT_THAT(keptIn(2, "pyramidkv@kvcf", Budget::capacity(6)), ElementsAre(1, 8, 10, 11));
    const Budget half = Budget::compressionRatio("0.5");
    EXPECT_THAT(keptIn(0, "pyramidkv@kvpress", half), ElementsAre(0, 1, 3, 4, 5, 7, 8, 10, 11));
    EXPECT_THAT(keptIn(1, "pyramidkv@kvpress", half), ElementsAre(1, 3, 7, 8, 10, 11));
    EXPECT_THAT(keptIn(2, "pyramidkv@kvpress", half), ElementsAre(8, 10, 11));
}

TEST(PyramidKv, OvershootsAsKvCacheFactoryDoes)
{
    const PyramidSchedule schedule{Kind::Kvcf, 8, 20, {}};
    const Budget budget = Budget::capacity(128);
    for (const std::int64_t tokens : {1000, 250}) {
        const Integers kept = shares(schedule, 32, tokens, budget);
        EXPECT_EQ(kept.front(), 242);
        EXPECT_EQ(kept[1], 235);
        EXPECT_EQ(kept.back(), 25);
        EXPECT_EQ(sumOf(kept), 32 * 1335 / 10) << "133.5 on the average";
    }
    EXPECT_THAT(shares(schedule, 32, 200, budget), Each(128)) << "shorter than twice the budget beyond the window";
    EXPECT_THAT(shares(schedule, 32, 100, budget), Each(100));
}

TEST(PyramidKv, IsAPyramidWhereKvpressHasOne)
{
    const PyramidSchedule schedule{Kind::Kvpress, 64, 20, {}};
    const auto ends = [&](std::int64_t tokens, const char* ratio) {
        const Integers kept = shares(schedule, 32, tokens, Budget::compressionRatio(ratio));
        return std::pair(kept.front(), kept.back());
    };
    EXPECT_EQ(ends(512, "0.5"), std::pair(448L, 64L));
    EXPECT_EQ(ends(1024, "0.5"), std::pair(960L, 64L));
    EXPECT_EQ(ends(4096, "0.5"), std::pair(3994L, 102L));
    EXPECT_EQ(ends(8192, "0.75"), std::pair(3994L, 102L));
    EXPECT_EQ(ends(512, "0.75"), std::pair(128L, 128L));
    EXPECT_EQ(ends(1024, "0.75"), std::pair(256L, 256L));
    EXPECT_EQ(ends(2048, "0.9"), std::pair(205L, 205L));
    EXPECT_EQ(ends(4096, "0.75"), std::pair(1024L, 1024L));
    EXPECT_EQ(ends(4096, "0.9"), std::pair(410L, 410L));
}

TEST(PyramidKv, SaysWhyAllLayersKeepTheSame)
{
    const auto notes = [](const std::string& spec, const Budget& budget) {
        std::vector<std::string> result;
        kept(spec, head0, budget, PromptLayout(12), 0, 3, &result);
        return result;
    };
    EXPECT_THAT(notes("pyramidkv:window=2", Budget::capacity(6)), IsEmpty());
    EXPECT_THAT(notes("pyramidkv:window=2", Budget::capacity(12)), IsEmpty()) << "all is kept";
    EXPECT_THAT(notes("pyramidkv:window=2", Budget::capacity(9)),
        ElementsAre(HasSubstr("12 tokens are fewer than 14, twice the budget beyond the window")));
    EXPECT_THAT(notes("pyramidkv:window=2", Budget::capacity(2)), ElementsAre(HasSubstr("leaves nothing beyond")));
    EXPECT_THAT(notes("pyramidkv@kvpress:window=2", Budget::compressionRatio("0.75")),
        ElementsAre(HasSubstr("so all layers keep 3, as in kvpress")));
    EXPECT_THAT(notes("pyramidkv@kvpress:window=2", Budget::compressionRatio("0")), IsEmpty());
}

TEST(PyramidKv, HasTheParametersOfItsScorer)
{
    const Method kvpress = parseMethod("pyramidkv@kvpress:beta=3");
    const auto* scorer = dynamic_cast<const SnapKvScorer*>(kvpress.scorer.get());
    ASSERT_NE(scorer, nullptr);
    EXPECT_EQ(scorer->parameters().window, 64);
    EXPECT_EQ(scorer->parameters().kernel, 5);
    EXPECT_EQ(scorer->parameters().stage, SnapKvScorer::GroupStage::AfterPooling);
    EXPECT_EQ(parseMethod("pyramidkv").parameters.at("schedule"), "kvcf");
    EXPECT_TRUE(kvpress.withoutPooling().has_value());
    EXPECT_THROW(parseMethod("pyramidkv:kernel=4"), MethodError);
    EXPECT_THROW(parseMethod("pyramidkv:beta=0"), MethodError);
}

/// The schedules as Python has them.
Integers referenceShares(const std::string& schedule, std::int64_t window, std::int64_t beta, int layers,
    std::int64_t tokens, std::int64_t cap, double budget)
{
    Integers result;
    if (schedule == "kvpress") {
        const double q = static_cast<double>(tokens);
        const double w = static_cast<double>(window);
        const double capacity = w + budget;
        double least = (capacity - w) / static_cast<double>(beta);
        double most = (capacity - w) * 2 - least;
        if (most >= q - w) {
            most = q - w;
            least = (capacity - w) * 2 - most;
        }
        const bool pyramid = q >= most && most >= least && least >= w;
        const double step = layers > 1 ? (most - least) / (layers - 1) : 0;
        for (int layer = 0; layer < layers; ++layer)
            result.push_back(std::clamp<std::int64_t>(halfEven(pyramid ? most - layer * step : budget), 1, tokens));
        return result;
    }
    window = std::min(window, tokens);
    std::int64_t least = (cap - window) / beta;
    std::int64_t most = (cap - window) * 2 - least;
    if (most >= tokens - window) {
        most = tokens - window;
        least = (cap - window) * 2 - most;
    }
    if (cap >= tokens || cap <= window || tokens < 2 * (cap - window) || layers == 1)
        return Integers(static_cast<std::size_t>(layers), cap);
    if (schedule == "kvcf") {
        for (int layer = 0; layer < layers; ++layer)
            result.push_back(most - layer * ((most - least) / (layers - 1)) + window);
        return result;
    }
    // One token after another to the layer that is furthest below its due, in exact fractions.
    result.assign(static_cast<std::size_t>(layers), 0);
    for (std::int64_t token = 0; token < layers * (cap - window); ++token) {
        std::int64_t furthest = 0;
        const auto missing = [&](std::int64_t layer) { // times layers - 1
            return most * (layers - 1) - layer * (most - least)
                - result[static_cast<std::size_t>(layer)] * (layers - 1);
        };
        for (std::int64_t layer = 1; layer < layers; ++layer)
            if (missing(layer) > missing(furthest))
                furthest = layer;
        ++result[static_cast<std::size_t>(furthest)];
    }
    for (std::int64_t& share : result)
        share += window;
    return result;
}

/// tokens * (1 - cr) as Python calculates it, from "capacity 7", "kept 0.3" or "removed 0.7".
double unrounded(const BudgetCase& budget, std::int64_t tokens)
{
    const auto blank = budget.description.find(' ');
    const double number = std::stod(budget.description.substr(blank));
    if (budget.description.starts_with("capacity"))
        return std::min(number, static_cast<double>(tokens));
    const double ratio = budget.description.starts_with("removed") ? number : 1.0 - number;
    return static_cast<double>(tokens) * (1.0 - ratio);
}

TEST(PyramidKv, CutsEveryLayerToItsShareInRandomCases)
{
    Dice dice(51);
    int pyramids = 0;
    for (int i = 0; i < cases; ++i) {
        Case given = randomCase(dice);
        const BudgetCase budget = randomBudget(dice);
        const std::string schedule = dice.oneOf<std::string>({"kvcf", "kvpress", "exact"});
        const std::string granularity = dice.oneOf<std::string>({"layer", "kv_head", "q_head"});
        const std::string pooling = dice.oneOf<std::string>({"max", "avg"});
        const std::int64_t window = dice.oneOf<std::int64_t>({1, 2, 3, 8, 32});
        const std::int64_t kernel = dice.oneOf<std::int64_t>({1, 3, 7});
        const std::int64_t beta = dice.oneOf<std::int64_t>({1, 2, 5, 20});
        const int layers = static_cast<int>(dice.oneOf<std::int64_t>({1, 2, 3, 8, 12}));
        given.layer = static_cast<int>(dice.upTo(layers - 1));
        const std::string spec = "pyramidkv:schedule=" + schedule + ",window=" + std::to_string(window)
            + ",kernel=" + std::to_string(kernel) + ",beta=" + std::to_string(beta) + ",pool=" + pooling
            + ",granularity=" + granularity;

        const std::int64_t cap = budget.count(given.tokens, "auto");
        const Integers expectedShares
            = referenceShares(schedule, window, beta, layers, given.tokens, cap, unrounded(budget, given.tokens));
        const bool isPyramid = expectedShares.front() > expectedShares.back();
        pyramids += isPyramid ? 1 : 0;
        if (schedule == "exact") {
            ASSERT_EQ(sumOf(expectedShares), layers * cap) << spec << ", " << budget.description;
        }
        if (schedule == "kvcf") {
            ASSERT_GE(sumOf(expectedShares), layers * cap) << spec << ", " << budget.description;
        }

        const std::int64_t seen = std::min(window, given.tokens);
        Sets expected;
        for (const auto& chosen : members(given, granularity)) {
            std::vector<Integers> heads;
            for (const auto& rows : given.rows) {
                Integers& sums = heads.emplace_back(static_cast<std::size_t>(given.tokens - seen), 0);
                for (std::int64_t query = given.tokens - seen; query < given.tokens; ++query)
                    for (std::size_t key = 0; key < sums.size(); ++key)
                        sums[key] += rows[static_cast<std::size_t>(query)][key];
            }
            expected.push_back(recentThenBest(pooledWindow(reduced(heads, chosen, "mean"), kernel, pooling),
                given.tokens, expectedShares[static_cast<std::size_t>(given.layer)], seen));
        }
        EvidenceTable table = given.evidence();
        table.view.numLayers = layers;
        const ScoredSample scored(parseMethod(spec), PromptLayout(given.tokens), std::span(&table.view, 1));
        ASSERT_EQ(scored.choose(budget.budget).kept.at(given.layer).sets,
            repeatedForLayer(expected, granularity, given.kvHeads))
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.tokens << ", layer "
            << given.layer << " of " << layers;
    }
    EXPECT_GT(pyramids, cases / 10);
}

} // namespace
} // namespace kvloupe
