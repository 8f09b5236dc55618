// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/chunkkv.h"

#include "tests/core/methods/vector_case.h"
#include "tests/core/methods/worked_maps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <utility>

namespace kvloupe {
namespace {

using namespace random_case;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::FloatNear;
using testing::HasSubstr;
using testing::IsEmpty;

/// The two worked heads as a group, as fractions, so that a protected token's score of "best + 1" stands out as there.
ScoredSample workedSample(const std::string& spec)
{
    auto maps = std::vector{workedHead0(), workedHead1()};
    for (auto& map : maps)
        for (auto& row : map)
            for (float& percent : row)
                percent /= 100.0F;
    const EvidenceTable table = EvidenceTable::fromMaps(maps, 1);
    return {parseMethod(spec), PromptLayout(12), std::span(&table.view, 1)};
}

std::vector<std::int32_t> kept(const std::string& spec, const Budget& budget)
{
    const ReplayResult result = workedSample(spec).choose(budget);
    EXPECT_EQ(result.kept.at(0).granularity, Granularity::Layer);
    return result.kept.at(0).sets.front();
}

TEST(ChunkKv, OfKvpressKeepsAShareOfTheChunks)
{
    const std::string spec = "chunkkv@kvpress:scorer.window=2,scorer.kernel=3,chunk=";
    const Budget half = Budget::compressionRatio("0.5");
    EXPECT_THAT(kept(spec + "3", half), ElementsAre(3, 4, 5, 9, 10, 11));
    EXPECT_THAT(kept(spec + "4", half), ElementsAre(8, 9, 10, 11)) << "int(1.5) chunks";
    EXPECT_THAT(kept(spec + "5", half), ElementsAre(10, 11)) << "int(1.5) chunks, the last of two tokens";
    EXPECT_THAT(kept(spec + "5", Budget::capacity(6)), ElementsAre(10, 11)) << "three chunks times 6 of 12";
    EXPECT_THAT(kept(spec + "5", Budget::capacity(8)), ElementsAre(5, 6, 7, 8, 9, 10, 11));

    const SetRanking ranking = workedSample(spec + "3").rank(half).front().sets.front();
    EXPECT_THAT(ranking.guards, Each(Guard::None));
    const std::vector<float> means{
        0.0589F, 0.0589F, 0.0589F, 0.0906F, 0.0906F, 0.0906F, 0.0822F, 0.0822F, 0.0822F, 0.7525F, 0.7525F, 0.7525F};
    EXPECT_THAT(ranking.scores, testing::Pointwise(FloatNear(5e-5F), means));
}

TEST(ChunkKv, OfThePaperCutsTheSelectionToMakeRoomForTheWindow)
{
    const std::string spec = "chunkkv@paper:scorer.window=2,chunk=";
    EXPECT_THAT(kept(spec + "3", Budget::capacity(6)), ElementsAre(3, 4, 5, 9, 10, 11));
    EXPECT_THAT(kept(spec + "4", Budget::capacity(6)), ElementsAre(4, 5, 6, 7, 10, 11));
    const SetRanking ranking = workedSample(spec + "4").rank(Budget::capacity(6)).front().sets.front();
    EXPECT_NEAR(ranking.scores.at(0), 0.59, 1e-6);
    EXPECT_NEAR(ranking.scores.at(9), 0.66, 1e-6);
    EXPECT_TRUE(std::isnan(ranking.scores.at(10)));
    EXPECT_EQ(ranking.guards.at(10), Guard::Window);

    // Chunks of five: 81, 83.5, 35.5. The first n - 2 tokens of what is selected, the next best chunk where it is less.
    EXPECT_THAT(kept(spec + "5", Budget::capacity(7)), ElementsAre(5, 6, 7, 8, 9, 10, 11));
    EXPECT_THAT(kept(spec + "5", Budget::capacity(9)), ElementsAre(0, 1, 5, 6, 7, 8, 9, 10, 11));
    EXPECT_THAT(kept(spec + "5", Budget::capacity(11)), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11));
    EXPECT_THAT(kept(spec + "5", Budget::capacity(2)), ElementsAre(10, 11));
    EXPECT_THAT(kept(spec + "5", Budget::capacity(1)), ElementsAre(11));
    EXPECT_THAT(kept(spec + "100", Budget::capacity(4)), ElementsAre(0, 1, 10, 11)) << "less than a chunk";
}

TEST(ChunkKv, KeepsTheWindowInsideTheBudgetAndSkipsChunksThatDoNotFit)
{
    // Token scores without pooling, window 2: 32.5 2.5 9.5 14.5 22 25.5 7.5 20 17 13.5 percent per head.
    const std::string spec = "chunkkv:scorer.window=2,scorer.kernel=1,chunk=";
    EXPECT_THAT(kept(spec + "3", Budget::capacity(6)), ElementsAre(3, 4, 5, 9, 10, 11))
        << "chunks 0 to 2 and 6 to 8 are better than token 9, but do not fit";
    EXPECT_THAT(kept(spec + "4", Budget::capacity(8)), ElementsAre(4, 5, 6, 7, 8, 9, 10, 11))
        << "18.75, then the two tokens 8 and 9 before 14.75 of the first four";
    EXPECT_THAT(kept(spec + "4", Budget::capacity(7)), ElementsAre(4, 5, 6, 7, 10, 11)) << "one token stays free";
    EXPECT_THAT(kept(spec + "4", Budget::capacity(4)), ElementsAre(8, 9, 10, 11)) << "4 to 7 do not fit";
    EXPECT_THAT(kept(spec + "4,agg=sum", Budget::capacity(8)), ElementsAre(4, 5, 6, 7, 8, 9, 10, 11));
    EXPECT_THAT(kept(spec + "4,agg=sum", Budget::capacity(11)), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 10, 11))
        << "30.5 of tokens 8 and 9 is the smallest sum";
    EXPECT_THAT(kept(spec + "4", Budget::capacity(1)), ElementsAre(11));

    const ScoredSample scored = workedSample(spec + "4");
    EXPECT_THAT(
        scored.choose(Budget::capacity(3)).notes, ElementsAre(HasSubstr("no chunk of 4 tokens fits into the 1")));
    EXPECT_THAT(scored.choose(Budget::capacity(8)).notes, IsEmpty());
    const SetRanking ranking = scored.rank(Budget::capacity(8)).front().sets.front();
    EXPECT_NEAR(ranking.scores.at(5), 0.1875, 1e-6);
    EXPECT_EQ(ranking.scores.at(8), ranking.scores.at(9));
    EXPECT_EQ(ranking.guards.at(11), Guard::Window);
}

TEST(ChunkKv, ChoosesTokensOneByOneInPromptsShorterThanAChunk)
{
    for (const std::string rule : {"tokens", "chunks"}) {
        const ScoredSample scored = workedSample("chunkkv:scorer.window=2,chunk=13,rule=" + rule);
        const ReplayResult result = scored.choose(Budget::capacity(5));
        EXPECT_EQ(result.kept, workedSample("snapkv:window=2").choose(Budget::capacity(5)).kept);
        EXPECT_THAT(result.notes, ElementsAre(HasSubstr("shorter than a chunk")));
        EXPECT_EQ(scored.rank(Budget::capacity(5)).front().sets.front().guards,
            workedSample("snapkv:window=2").rank(Budget::capacity(5)).front().sets.front().guards);
    }
}

/// Six layers of one head with different key norms; `shorter` holds fewer tokens.
std::vector<LayerEvidence> layersOf(const std::vector<std::vector<float>>& norms)
{
    std::vector<LayerEvidence> layers;
    for (const auto& layerNorms : norms) {
        LayerEvidence& view = layers.emplace_back();
        view.layer = static_cast<int>(layers.size()) - 1;
        view.numLayers = 6;
        view.queryHeads = 1;
        view.kvHeads = 1;
        view.tokens = static_cast<std::int64_t>(layerNorms.size());
        view.keyNorms = layerNorms;
    }
    return layers;
}

TEST(ChunkKv, ReusesTheChunksOfTheFirstLayerOfAGroup)
{
    const std::vector<std::vector<float>> norms{{1, 1, 9, 9}, {9, 9, 1, 1}, {9, 9, 1, 1}, {1, 1, 9, 9}, {9, 9, 1, 1}};
    auto layers = layersOf(norms);
    const Method method = parseMethod("chunkkv:scorer=knorm,chunk=2,reuse_layers=2");
    EXPECT_EQ(method.chooser->scope(), ChooserScope::Model);
    const ScoredSample scored(method, PromptLayout(4), layers);
    const ReplayResult result = scored.choose(Budget::keep("0.5"));
    for (const int layer : {0, 1})
        EXPECT_THAT(result.kept.at(layer).sets.front(), ElementsAre(0, 1)) << layer;
    for (const int layer : {2, 3, 4})
        EXPECT_THAT(result.kept.at(layer).sets.front(), ElementsAre(2, 3)) << layer;
    EXPECT_EQ(scored.chooseLayer(Budget::keep("0.5"), 3), result.kept.at(3));
    EXPECT_EQ(scored.rank(Budget::keep("0.5")).at(1).sets.front().scores.at(0), -1.0F) << "the group's, not its own";

    layers.erase(layers.begin() + 2);
    EXPECT_THAT(([&] { ScoredSample(method, PromptLayout(4), layers).choose(Budget::keep("0.5")); }),
        testing::ThrowsMessage<MethodError>(HasSubstr("layer 3 takes the chunks of layer 2")));
    const std::vector<std::vector<float>> uneven{{1, 1, 9, 9}, {9, 9}};
    EXPECT_THAT(([&] { ScoredSample(method, PromptLayout(4), layersOf(uneven)).choose(Budget::keep("0.5")); }),
        testing::ThrowsMessage<MethodError>(HasSubstr("holds 2 tokens and that one 4")));
}

TEST(ChunkKv, RefusesWhatDoesNotGoTogether)
{
    EXPECT_THAT(([] { parseMethod("chunkkv@paper:scorer=knorm"); }),
        testing::ThrowsMessage<MethodError>(AllOf(HasSubstr("scorer is knorm"), HasSubstr("expected snapkv"))));
    EXPECT_THROW(parseMethod("chunkkv:chunk=0"), MethodError);
    EXPECT_THROW(parseMethod("chunkkv:reuse_layers=0"), MethodError);
    EXPECT_THROW(parseMethod("chunkkv:scorer=chunkkv"), MethodError);
    EXPECT_EQ(parseMethod("chunkkv@kvpress").parameters.at("scorer.window"), "64");
    EXPECT_EQ(parseMethod("chunkkv@paper").parameters.at("scorer.kernel"), "1") << "whatever snapkv's own is";
}

/// A chunk of the slow transcription: its tokens and its score as a fraction.
struct SlowChunk {
    std::vector<std::int32_t> tokens;
    std::int64_t sum = 0;
    std::int64_t divisor = 1;

    bool better(const SlowChunk& other) const
    {
        return sum * other.divisor != other.sum * divisor ? sum * other.divisor > other.sum * divisor
                                                          : tokens.front() < other.tokens.front();
    }
};

TEST(ChunkKvRandomCases, KeepWholeChunksOfALayer)
{
    Dice dice(113);
    for (int i = 0; i < cases; ++i) {
        const Case given = randomCase(dice);
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding = dice.oneOf(roundings);
        const std::string rule = dice.oneOf<std::string>({"tokens", "chunks", "paper"});
        const std::string aggregation = dice.oneOf<std::string>({"mean", "sum"});
        const std::string granularity = dice.oneOf<std::string>({"layer", "kv_head", "q_head"});
        const std::int64_t window = dice.oneOf<std::int64_t>({1, 3, 8, 100});
        const std::int64_t length = dice.oneOf<std::int64_t>({1, 2, 5, 10, 30});
        const std::int64_t kernel = dice.oneOf<std::int64_t>({1, 3});
        const std::int64_t count = budget.count(given.tokens, rounding);
        const std::int64_t guarded = std::min(window, given.tokens);
        const std::string inner = ":kernel=" + std::to_string(kernel) + ",gqa_reduce=sum,window="
            + std::to_string(window) + ",granularity=" + granularity + ",budget_rounding=" + rounding;
        const std::string spec = "chunkkv:rule=" + rule + ",agg=" + aggregation + ",chunk=" + std::to_string(length)
            + ",budget_rounding=" + rounding + ",scorer.kernel=" + std::to_string(kernel)
            + ",scorer.gqa_reduce=sum,scorer.window=" + std::to_string(window) + ",scorer.granularity=" + granularity
            + ",scorer.budget_rounding=" + rounding;
        const Sets ours = keptByCore(spec, given, budget.budget);
        const std::string message = "case " + std::to_string(i) + ": " + spec + ", " + budget.description + " of "
            + std::to_string(given.tokens);
        if (rule != "paper" && given.tokens < length) {
            ASSERT_EQ(ours, keptByCore("snapkv" + inner, given, budget.budget)) << message;
            continue;
        }

        // Token scores over the whole layer, in 1/64.
        const auto votes = windowVotes(given, window, rule == "paper" ? given.tokens : given.tokens - guarded);
        Integers scores(static_cast<std::size_t>(given.tokens), 0);
        std::int64_t largest = -1;
        std::int64_t sets = 0;
        for (const auto& heads : members(given, granularity)) {
            const Integers set = rule == "paper" ? reduced(votes, heads, "sum")
                                                 : pooledWindow(reduced(votes, heads, "sum"), kernel, "max");
            for (std::size_t token = 0; token < set.size(); ++token) {
                scores[token] += set[token];
                largest = std::max(largest, set[token]);
            }
            ++sets;
        }
        if (rule == "chunks")
            for (std::int64_t token = given.tokens - guarded; token < given.tokens; ++token)
                scores[static_cast<std::size_t>(token)] = sets * (std::max<std::int64_t>(largest, 0) + 64);

        std::vector<SlowChunk> chunks;
        const std::int64_t end = rule == "tokens" ? given.tokens - guarded : given.tokens;
        for (std::int64_t token = 0; token < end; ++token) {
            if (token % length == 0)
                chunks.emplace_back();
            chunks.back().tokens.push_back(static_cast<std::int32_t>(token));
            chunks.back().sum += scores[static_cast<std::size_t>(token)];
            chunks.back().divisor = aggregation == "mean" ? static_cast<std::int64_t>(chunks.back().tokens.size()) : 1;
        }
        std::sort(chunks.begin(), chunks.end(), [](const SlowChunk& a, const SlowChunk& b) { return a.better(b); });

        std::set<std::int32_t> kept;
        if (rule == "chunks") {
            const auto all = static_cast<std::int64_t>(chunks.size());
            const std::int64_t taken = budget.budget.kind() == BudgetKind::Capacity
                ? std::max<std::int64_t>(1, all * count / given.tokens)
                : budget.count(all, rounding);
            for (std::int64_t chunk = 0; chunk < taken; ++chunk)
                for (const std::int32_t token : chunks[static_cast<std::size_t>(chunk)].tokens)
                    kept.insert(token);
        } else {
            for (std::int64_t token = given.tokens - std::min(guarded, count); token < given.tokens; ++token)
                kept.insert(static_cast<std::int32_t>(token));
            if (rule == "tokens") {
                for (const SlowChunk& chunk : chunks)
                    if (static_cast<std::int64_t>(kept.size() + chunk.tokens.size()) <= count)
                        kept.insert(chunk.tokens.begin(), chunk.tokens.end());
            } else {
                std::set<std::int32_t> best; // in the order of the prompt
                std::size_t next = 0;
                for (; next < chunks.size() && next < static_cast<std::size_t>(count / length); ++next)
                    best.insert(chunks[next].tokens.begin(), chunks[next].tokens.end());
                std::vector<std::int32_t> order(best.begin(), best.end());
                for (; next < chunks.size(); ++next)
                    order.insert(order.end(), chunks[next].tokens.begin(), chunks[next].tokens.end());
                for (const std::int32_t token : order)
                    if (static_cast<std::int64_t>(kept.size()) < count)
                        kept.insert(token);
                ASSERT_EQ(static_cast<std::int64_t>(kept.size()), count);
            }
            ASSERT_LE(static_cast<std::int64_t>(kept.size()), count) << message;
        }
        ASSERT_EQ(ours.size(), static_cast<std::size_t>(given.kvHeads)) << message;
        for (const auto& set : ours)
            ASSERT_THAT(set, ElementsAreArray(kept.begin(), kept.end())) << message;
    }
}

} // namespace
} // namespace kvloupe
