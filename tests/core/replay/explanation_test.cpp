// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/explanation.h"

#include "core/methods/method_registry.h"
#include "core/replay/replay.h"
#include "tests/core/methods/evidence_table.h"
#include "tests/core/methods/worked_maps.h"
#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace kvloupe {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsNan;

/// Positions that are marked.
std::vector<int> positionsOf(const std::vector<bool>& marks)
{
    std::vector<int> positions;
    for (std::size_t position = 0; position < marks.size(); ++position)
        if (marks[position])
            positions.push_back(static_cast<int>(position));
    return positions;
}

ScoredSample scoredExample(const Method& method)
{
    const EvidenceTable table = EvidenceTable::fromMaps({workedHead0()}, 1);
    return {method, PromptLayout(table.view.tokens), std::span(&table.view, 1)};
}

TEST(Explanation, RanksFromOneWithEqualScoresSharingARank)
{
    const float nan = std::numeric_limits<float>::quiet_NaN();
    EXPECT_THAT(ranksOf(std::vector<float>{3, 7, nan, 3, 9, 1}), ElementsAre(3, 2, 0, 3, 1, 5));
    EXPECT_THAT(ranksOf(std::vector<float>{}), IsEmpty());
}

// Worked example 6.4 of the specification: 3 heavy tokens beside a window of 3; maximum pooling hands the place of
// token 4 to token 3 and that of token 7 to token 1.
TEST(Explanation, TellsScoresThresholdGuardsAndWhatPoolingDid)
{
    const Method method = parseMethod("snapkv:window=3,kernel=3");
    const ScoredSample pooled = scoredExample(method);
    const ScoredSample unpooled = scoredExample(*method.withoutPooling());
    const Explanation explanation = explain(pooled, Budget::capacity(6), &unpooled);
    EXPECT_EQ(explanation.requestedTokens, 6);
    EXPECT_THAT(explanation.notes, IsEmpty());

    const SetExplanation& set = explanation.layers.at(0).at(0);
    EXPECT_THAT(positionsOf(set.kept), ElementsAre(0, 1, 3, 9, 10, 11));
    EXPECT_THAT(
        std::vector(set.scores.begin(), set.scores.begin() + 9), ElementsAre(65, 65, 19, 49, 49, 49, 41, 41, 41));
    EXPECT_THAT(std::vector(set.scores.begin() + 9, set.scores.end()), Each(IsNan()));
    EXPECT_THAT(set.ranks, ElementsAre(1, 1, 9, 3, 3, 3, 6, 6, 6, 0, 0, 0));
    EXPECT_EQ(set.guards.at(8), Guard::None);
    EXPECT_EQ(set.guards.at(9), Guard::Window);
    EXPECT_EQ(set.threshold, 49.0F);
    EXPECT_EQ(set.rankedTokens, 9);
    EXPECT_EQ(set.guardedTokens, 3);
    EXPECT_EQ(set.realisedTokens, 6);
    EXPECT_THAT(positionsOf(set.keptWithoutPooling), ElementsAre(0, 4, 7, 9, 10, 11));
    EXPECT_EQ(set.scoresWithoutPooling.at(1), 5.0F);
}

TEST(Explanation, NotesABudgetBelowWhatTheMethodProtects)
{
    const Explanation explanation = explain(scoredExample(parseMethod("snapkv:window=8")), Budget::capacity(2));
    ASSERT_EQ(explanation.notes.size(), 1U);
    EXPECT_THAT(explanation.notes.front(), testing::HasSubstr("2"));
    EXPECT_THAT(explanation.notes.front(), testing::HasSubstr("8"));
    const SetExplanation& set = explanation.layers.at(0).at(0);
    EXPECT_THAT(positionsOf(set.kept), ElementsAre(10, 11));
    EXPECT_TRUE(std::isnan(set.threshold)) << "nothing was kept by rank";
}

TEST(Explanation, OfAMethodThatRanksNothingNamesItsGuards)
{
    const SetExplanation set
        = explain(scoredExample(parseMethod("streaming_llm:n_sink=2")), Budget::capacity(5)).layers.at(0).at(0);
    EXPECT_EQ(set.guards.at(1), Guard::Sink);
    EXPECT_EQ(set.guards.at(2), Guard::None);
    EXPECT_EQ(set.guards.at(9), Guard::Recent);
    EXPECT_EQ(set.rankedTokens, 0);
    EXPECT_THAT(set.scores, Each(IsNan()));
    EXPECT_THAT(set.keptWithoutPooling, IsEmpty());
}

TEST(Explanation, OfEveryMethodAgreesWithWhatItKeeps)
{
    const TemporaryFolder folder;
    SyntheticRecording options;
    options.headDim = 16;
    options.promptTokens = 150;
    makeRecording(folder.path() / "r.h5", options);
    const Recording recording = Recording::open(folder.path() / "r.h5");
    const Replay replay(recording);
    for (const char* spec : {"full", "streaming_llm", "h2o", "snapkv", "random", "snapkv@kvpress"}) {
        const Method method = parseMethod(spec);
        const std::vector<ScoredSample> scored = replay.score(0, std::span(&method, 1));
        const Budget budget = Budget::keep("0.6");
        const ReplayResult result = scored.front().choose(budget);
        const Explanation explanation = replay.explain(0, scored.front(), budget);
        for (const auto& [layer, sets] : explanation.layers)
            for (std::size_t set = 0; set < sets.size(); ++set) {
                const std::vector<int> kept = positionsOf(sets[set].kept);
                EXPECT_TRUE(std::ranges::equal(kept, result.kept.at(layer).sets[set])) << spec;
                for (std::size_t token = 0; token < sets[set].kept.size(); ++token) {
                    const bool stayed = sets[set].kept[token];
                    if (sets[set].guards[token] != Guard::None) {
                        EXPECT_TRUE(stayed) << spec << " " << token;
                    } else if (sets[set].ranks[token] > 0) {
                        EXPECT_TRUE(stayed ? sets[set].scores[token] >= sets[set].threshold
                                           : sets[set].scores[token] <= sets[set].threshold)
                            << spec << " " << token;
                    }
                }
            }
    }
}

} // namespace
} // namespace kvloupe
