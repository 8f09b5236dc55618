// SPDX-License-Identifier: GPL-3.0-or-later

// ShotKV and its control: the worked example of docs/methods.md and the rules that the paper leaves open.

#include "core/methods/shotkv.h"

#include "core/methods/random_shot.h"
#include "core/methods/whole_shots.h"
#include "core/replay/cache_timeline.h"
#include "core/replay/replay.h"
#include "tests/core/methods/evidence_table.h"
#include "tests/core/methods/worked_maps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pointwise;

using Positions = std::vector<std::int32_t>;
using Maps = std::vector<std::vector<std::vector<float>>>;

std::vector<Span> shotSpans(const std::vector<TokenRange>& ranges)
{
    std::vector<Span> spans;
    for (const TokenRange& range : ranges)
        spans.push_back({range.begin, range.end, SpanKind::Shot, static_cast<std::int32_t>(spans.size()), ""});
    return spans;
}

/// BOS {0}, s0 {1,2,3}, s1 {4,5,6}, s2 {7,8,9}, question {10,11}.
const PromptLayout threeShots(12, 12, shotSpans({{1, 4}, {4, 7}, {7, 10}}));
const PromptLayout unequalShots(12, 12, shotSpans({{1, 3}, {3, 8}, {8, 10}}));

/// Layer 0 is head 0 of the worked example, layer 1 head 1.
struct TwoLayers {
    std::vector<EvidenceTable> tables;
    std::vector<LayerEvidence> views;

    TwoLayers()
    {
        tables.push_back(EvidenceTable::fromMaps(Maps{workedHead0()}, 1));
        tables.push_back(EvidenceTable::fromMaps(Maps{workedHead1()}, 1));
        for (std::size_t layer = 0; layer < 2; ++layer) {
            tables[layer].view.layer = static_cast<int>(layer);
            tables[layer].view.numLayers = 2;
            views.push_back(tables[layer].view);
        }
    }
};

/// Kept positions of both layers.
std::vector<Positions> kept(const std::string& spec, const PromptLayout& layout, const Budget& budget,
    std::vector<std::string>* notes = nullptr)
{
    const TwoLayers layers;
    const ReplayResult result = ScoredSample(parseMethod(spec), layout, layers.views).choose(budget);
    if (notes != nullptr)
        *notes = result.notes;
    return {result.kept.at(0).sets.at(0), result.kept.at(1).sets.at(0)};
}

/// Scores of the first token of each example, in one layer.
std::vector<float> shotScores(const std::string& spec, const PromptLayout& layout, std::size_t layer)
{
    const TwoLayers layers;
    const auto ranking = ScoredSample(parseMethod(spec), layout, layers.views).rank(Budget::keep("0.5")).at(layer);
    std::vector<float> scores;
    for (const TokenRange& shot : layout.shots())
        scores.push_back(ranking.sets.at(0).scores.at(static_cast<std::size_t>(shot.begin)));
    return scores;
}

TEST(ShotKv, RanksExamplesByTheMeanOverTheirTokens)
{
    // Means over the two queries after the examples; windows are summed here, so that every score is twice as large.
    const std::string spec = "shotkv:obs=window,obs_window=2";
    EXPECT_THAT(shotScores(spec, threeShots, 0),
        Pointwise(FloatNear(1e-4F), std::vector<float>{2 * 3.6667F, 2 * 7.6667F, 2 * 9.8333F}));
    EXPECT_THAT(shotScores(spec, threeShots, 1),
        Pointwise(FloatNear(1e-4F), std::vector<float>{2 * 5.1667F, 2 * 10.6667F, 2 * 7.0F}));
    for (const std::size_t layer : {0U, 1U})
        EXPECT_THAT(shotScores(spec + ",version=model", threeShots, layer),
            Pointwise(FloatNear(1e-4F), std::vector<float>{2 * 8.8333F, 2 * 18.3333F, 2 * 16.8333F}));
}

TEST(ShotKv, AllQueriesReverseTheRankingOfTheSuffix)
{
    EXPECT_THAT(shotScores("shotkv:obs=all_sum", threeShots, 0),
        Pointwise(FloatNear(1e-4F), std::vector<float>{104, 79.6667F, 47}));
    EXPECT_THAT(shotScores("shotkv:obs=all_sum", threeShots, 1),
        Pointwise(FloatNear(1e-4F), std::vector<float>{103.6667F, 118, 44}));
    // Column sums of head 0 by the queries that see a token: 100/11, 144/10, 68/9, ...
    EXPECT_THAT(shotScores("shotkv:obs=all_mean", threeShots, 0),
        Pointwise(FloatNear(1e-4F),
            std::vector<float>{
                (9.0909F + 14.4F + 7.5556F) / 3, (18.625F + 7.4286F + 6.3333F) / 3, (14.2F + 10.5F + 9.3333F) / 3}));
}

TEST(ShotKv, KeepsWholeExamplesPerLayerOrForTheWholeModel)
{
    const std::string layerwise = "shotkv:obs=window,obs_window=2";
    EXPECT_THAT(kept(layerwise, threeShots, Budget::keep("0.5")),
        ElementsAre(ElementsAre(0, 7, 8, 9, 10, 11), ElementsAre(0, 4, 5, 6, 10, 11)));
    EXPECT_THAT(kept(layerwise + ",version=model", threeShots, Budget::keep("0.5")),
        ElementsAre(ElementsAre(0, 4, 5, 6, 10, 11), ElementsAre(0, 4, 5, 6, 10, 11)));
    for (const char* version : {"layerwise", "model"})
        EXPECT_THAT(kept(layerwise + ",version=" + version, threeShots, Budget::keep("0.75")),
            ElementsAre(ElementsAre(0, 4, 5, 6, 7, 8, 9, 10, 11), ElementsAre(0, 4, 5, 6, 7, 8, 9, 10, 11)));
}

TEST(ShotKv, TriesLaterExamplesWhenOneDoesNotFit)
{
    // Layer 0: s0 3.5, s1 8.3, s2 7.5; three protected tokens.
    const std::string spec = "shotkv:obs=window,obs_window=2,fit=";
    const Budget fourLeft = Budget::capacity(7);
    EXPECT_THAT(kept(spec + "skip", unequalShots, fourLeft).at(0), ElementsAre(0, 1, 2, 8, 9, 10, 11));
    EXPECT_THAT(kept(spec + "stop", unequalShots, fourLeft).at(0), ElementsAre(0, 10, 11));
    EXPECT_THAT(
        kept(spec + "skip", unequalShots, Budget::capacity(10)).at(0), ElementsAre(0, 3, 4, 5, 6, 7, 8, 9, 10, 11));
    EXPECT_THAT(kept(spec + "knapsack", unequalShots, Budget::capacity(8)).at(0), ElementsAre(0, 1, 2, 8, 9, 10, 11))
        << "3.5 + 7.5 is more than 8.3";
    EXPECT_THAT(kept(spec + "skip", unequalShots, Budget::capacity(8)).at(0), ElementsAre(0, 3, 4, 5, 6, 7, 10, 11));
}

TEST(ShotKv, TreatsWhatIsOutsideTheExamplesAsItWasTold)
{
    const std::string spec = "shotkv:obs=window,obs_window=2,nonshot";
    EXPECT_THAT(kept(spec + "=drop", threeShots, Budget::capacity(3)).at(0), ElementsAre(7, 8, 9));
    EXPECT_THAT(kept(spec + "_counts=false", threeShots, Budget::capacity(3)).at(0), ElementsAre(0, 7, 8, 9, 10, 11));
    // Runs {0} with 40 and {10, 11} with (23 + 10) / 2 rank with the examples: 40, 19.67, 16.5, ...
    EXPECT_THAT(kept(spec + "=rank_as_shots", threeShots, Budget::capacity(4)).at(0), ElementsAre(0, 7, 8, 9));
    EXPECT_THAT(kept(spec + "=rank_as_shots", threeShots, Budget::capacity(3)).at(0), ElementsAre(0, 10, 11));
}

TEST(ShotKv, SaysWhenNoExampleFits)
{
    std::vector<std::string> notes;
    const std::string spec = "shotkv:obs=window,obs_window=2";
    EXPECT_THAT(kept(spec, threeShots, Budget::capacity(5), &notes).at(0), ElementsAre(0, 10, 11));
    EXPECT_THAT(notes, ElementsAre(HasSubstr("no example fits into the 2 tokens")));
    EXPECT_THAT(kept(spec, threeShots, Budget::capacity(2), &notes).at(0), ElementsAre(0, 10, 11));
    EXPECT_THAT(notes, ElementsAre(HasSubstr("the 3 tokens outside the examples alone exceed the budget of 2")));
    EXPECT_THAT(kept(spec + ",nonshot=drop", threeShots, Budget::capacity(2), &notes).at(0), IsEmpty());
    EXPECT_THAT(notes, ElementsAre(HasSubstr("no example fits")));
    kept(spec, threeShots, Budget::capacity(6), &notes);
    EXPECT_THAT(notes, IsEmpty());
}

TEST(ShotKv, GuardsWhatIsOutsideTheExamples)
{
    const TwoLayers layers;
    const ScoredSample scored(parseMethod("shotkv"), threeShots, layers.views);
    const SetRanking set = scored.rank(Budget::keep("0.5")).at(0).sets.at(0);
    EXPECT_EQ(set.guards.at(0), Guard::OutsideShots);
    EXPECT_EQ(set.guards.at(11), Guard::OutsideShots);
    EXPECT_EQ(set.guards.at(5), Guard::None);
    EXPECT_TRUE(std::isnan(set.scores.at(0)));
    EXPECT_EQ(set.scores.at(4), set.scores.at(6)) << "one score for the whole example";
}

TEST(ShotKv, WatchesTheSuffixUnlessItIsShort)
{
    const Method method = parseMethod("shotkv");
    EXPECT_EQ(method.needs(PromptLayout(100, 120, shotSpans({{10, 40}, {40, 92}}))).lastRows, 8);
    EXPECT_EQ(method.needs(PromptLayout(100, 120, shotSpans({{10, 40}, {40, 93}}))).lastRows, 32);
    EXPECT_EQ(method.needs(PromptLayout(100, 120, shotSpans({{10, 40}}))).lastRows, 60);
    EXPECT_EQ(parseMethod("shotkv:obs=window,obs_window=5").needs(PromptLayout(100)).lastRows, 5);
    EXPECT_TRUE(parseMethod("shotkv:obs=all_mean").needs(PromptLayout(100)).columnSums);
}

TEST(ShotKv, NamesTheOptionsWhenThereAreNoExamples)
{
    for (const char* spec : {"shotkv", "random_shot", "shotkv:version=model"})
        try {
            kept(spec, PromptLayout(12), Budget::keep("0.5"));
            FAIL() << spec;
        } catch (const MethodError& error) {
            EXPECT_THAT(error.what(), HasSubstr("--spans"));
            EXPECT_THAT(error.what(), HasSubstr("capture --shot-separator"));
        }
    EXPECT_NO_THROW(kept("shotkv:phases=decode", PromptLayout(12), Budget::keep("0.5")));
}

TEST(ShotKv, RejectsParametersOutOfTheirRange)
{
    EXPECT_THROW(parseMethod("shotkv:version=v2"), MethodError);
    EXPECT_THROW(parseMethod("shotkv:obs_window=0"), MethodError);
    EXPECT_THROW(parseMethod("shotkv:decode_interval=0"), MethodError);
    EXPECT_THROW(parseMethod("shotkv:decode_keep_recent=-1"), MethodError);
    EXPECT_THROW(parseMethod("random_shot:fit=best"), MethodError);
    EXPECT_EQ(parseMethod("shotkv@v1").parameters.at("version"), "model");
    EXPECT_EQ(parseMethod("shotkv@prefill-only").decodePolicy, nullptr);
    EXPECT_EQ(parseMethod("shotkv@decode-only").scorer, nullptr);
}

/// Rows of one head after the prompt.
class WorkedRows final : public DecodeRowSource {
public:
    explicit WorkedRows(std::int64_t promptTokens)
        : m_promptTokens(promptTokens)
        , m_map(workedHead0())
    {
    }
    int queryHeads() const override { return 1; }
    std::span<const float> row(int, std::int64_t step) override
    {
        return m_map[static_cast<std::size_t>(m_promptTokens + step)];
    }

private:
    std::int64_t m_promptTokens;
    std::vector<std::vector<float>> m_map;
};

/// Generated tokens in the cache after each of the 8 steps that follow a prompt of 4 kept tokens.
std::vector<Positions> generated(const std::string& spec, const char* share)
{
    const Method method = parseMethod(spec);
    const KeepSet keep{Granularity::Layer, {{0, 1, 2, 3}}};
    const Scores scores;
    const Budget budget = Budget::keep(share);
    DecodeRun run{method, keep, scores};
    run.promptTokens = 4;
    run.steps = 8;
    run.capacity = 4;
    run.decodeBudget = &budget;
    WorkedRows rows(4);
    CacheTimeline timeline;
    timeline.promptTokens = 4;
    timeline.steps = 8;
    timeline.layers[0] = decodeTimeline(run, &rows);
    std::vector<Positions> result;
    for (std::int64_t step = 1; step <= 8; ++step) {
        const Positions alive = timeline.aliveAfter(step).at(0).sets.at(0);
        EXPECT_THAT(Positions(alive.begin(), alive.begin() + 4), ElementsAre(0, 1, 2, 3)) << "the prompt is frozen";
        result.emplace_back(alive.begin() + 4, alive.end());
    }
    return result;
}

TEST(ShotKv, KeepsItsShareOfTheGeneratedTokens)
{
    for (const char* alpha : {"current", "cumulative"}) {
        const std::string spec = std::string("shotkv:decode_alpha=") + alpha;
        EXPECT_THAT(generated(spec, "0.5"),
            ElementsAre(ElementsAre(4), ElementsAre(5), ElementsAre(6), ElementsAre(6, 7), ElementsAre(7, 8),
                ElementsAre(7, 8, 9), ElementsAre(7, 8, 10), ElementsAre(7, 8, 10, 11)));
        EXPECT_THAT(generated(spec, "0.75"),
            ElementsAre(ElementsAre(4), ElementsAre(5), ElementsAre(5, 6), ElementsAre(5, 6, 7), ElementsAre(5, 7, 8),
                ElementsAre(5, 7, 8, 9), ElementsAre(5, 7, 8, 9, 10), ElementsAre(5, 7, 8, 9, 10, 11)));
    }
    EXPECT_EQ(generated("random_shot", "0.5"), generated("shotkv", "0.5")) << "the control differs in the prompt only";
    EXPECT_THAT(generated("shotkv@prefill-only", "0.5").back(), ElementsAre(4, 5, 6, 7, 8, 9, 10, 11));
}

TEST(ShotKv, WaitsWithTheFirstEvictionAndBetweenTwo)
{
    const auto warm = generated("shotkv:decode_warmup=4", "0.5");
    EXPECT_THAT(warm.at(3), ElementsAre(4, 5, 6, 7));
    EXPECT_EQ(warm.at(4).size(), 2U);
    const auto every3 = generated("shotkv:decode_interval=3", "0.5");
    EXPECT_THAT(every3.at(1), ElementsAre(4, 5));
    EXPECT_THAT(every3.at(2), ElementsAre(6));
    EXPECT_THAT(every3.at(4), ElementsAre(6, 7, 8));
}

TEST(RandomShot, KeepsOneDrawInAllLayersOrOneInEach)
{
    std::set<Positions> draws;
    bool differs = false;
    for (int seed = 0; seed < 60; ++seed) {
        const std::string spec = "random_shot:seed=" + std::to_string(seed);
        const auto shared = kept(spec, threeShots, Budget::keep("0.5"));
        EXPECT_EQ(shared.at(0), shared.at(1));
        EXPECT_EQ(shared.at(0).size(), 6U);
        draws.insert(shared.at(0));
        const auto own = kept(spec + ",shared_layers=false", threeShots, Budget::keep("0.5"));
        differs |= own.at(0) != own.at(1);
    }
    EXPECT_EQ(draws.size(), 3U) << "each of the three examples comes up";
    EXPECT_TRUE(differs);
}

} // namespace
} // namespace kvloupe
