// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/layer_pruning.h"

#include "core/methods/method_registry.h"
#include "core/methods/pyramidinfer.h"
#include "core/replay/replay.h"
#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>

#include <numeric>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Positions = std::vector<std::int32_t>;

SyntheticRecording smallOptions(RecordKind kind = RecordKind::QueriesKeys)
{
    SyntheticRecording options;
    options.layers = 5;
    options.headDim = 16;
    options.promptTokens = 230;
    options.generatedTokens = 40;
    options.kind = kind;
    return options;
}

Recording recorded(const TemporaryFolder& folder, const SyntheticRecording& options)
{
    makeRecording(folder.path() / "r.h5", options);
    return Recording::open(folder.path() / "r.h5");
}

const std::string spec = "pyramidinfer:min_context=8";

/// The rule on whole maps: rows of the votes restricted to what entered, divided by their sum.
std::vector<Positions> slowly(const Recording& recording, const PyramidPruner& pruner, const Budget& budget)
{
    const std::int64_t tokens = recording.sample(0).promptTokens;
    const int layers = recording.model().numLayers;
    const std::int64_t rows = pruner.votingRows(tokens);
    EvidenceNeeds needs;
    needs.lastRows = rows;
    Positions entering(static_cast<std::size_t>(tokens));
    std::iota(entering.begin(), entering.end(), 0);
    std::vector<Positions> result{entering};
    for (int layer = 0; layer + 1 < layers; ++layer) {
        const OwnedEvidence evidence = EvidenceBuilder(recording).build(0, layer, needs);
        std::vector<double> votes(entering.size(), 0.0);
        for (int head = 0; head < evidence.view.queryHeads; ++head)
            for (std::int64_t row = 0; row < rows; ++row) {
                const auto attention = evidence.view.lastRow(head, row);
                double mass = 0.0;
                for (const std::int32_t position : entering)
                    mass += static_cast<double>(attention[static_cast<std::size_t>(position)]);
                for (std::size_t slot = 0; slot < entering.size(); ++slot)
                    votes[slot] += pruner.voteWeight(row, rows)
                        * static_cast<double>(attention[static_cast<std::size_t>(entering[slot])]) / mass;
            }
        std::vector<float> shares;
        for (const double vote : votes)
            shares.push_back(static_cast<float>(vote / static_cast<double>(rows * evidence.view.queryHeads)));
        entering = pruner.survivors(entering, shares, {layer, layers, tokens}, budget);
        result.push_back(entering);
    }
    return result;
}

TEST(LayerPruning, PassesOnWhatTheVotesOfRenormalisedRowsKeep)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions());
    const Method method = parseMethod(spec);
    const ScoredSample scored = std::move(Replay(recording).score(0, std::span(&method, 1)).front());
    const auto& pruner = dynamic_cast<const PyramidPruner&>(*method.layerPruner);
    const std::vector<Budget> budgets{Budget::keep("0.5"), Budget::keep("0.82"), Budget::keep("0.9")};
    scored.prepare(budgets);
    for (const Budget& budget : budgets) {
        const std::vector<Positions> expected = slowly(recording, pruner, budget);
        const ReplayResult result = scored.choose(budget);
        std::int64_t total = 0;
        for (int layer = 0; layer < 5; ++layer) {
            EXPECT_EQ(
                result.kept.at(layer).sets, std::vector<Positions>(2, expected.at(static_cast<std::size_t>(layer))))
                << budget.text() << ", layer " << layer;
            EXPECT_EQ(scored.chooseLayer(budget, layer), result.kept.at(layer));
            total += result.realisedTokens(layer, 0);
        }
        if (budget.text() == "0.5") {
            EXPECT_GT(total, 5 * 115) << "five layers are too few to get there";
            EXPECT_THAT(result.notes, ElementsAre(HasSubstr("more than the budget of 115")));
        } else {
            EXPECT_LE(total, 5 * budget.tokensKept(230)) << "the budget holds on the average over the layers";
            EXPECT_GT(total, 5 * budget.tokensKept(230) - 20);
            EXPECT_THAT(result.notes, IsEmpty());
        }
        EXPECT_LT(result.realisedTokens(4, 0), result.realisedTokens(1, 0));
    }
}

TEST(LayerPruning, SaysWhatEachTokenWasRankedBy)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions());
    const Method method = parseMethod(spec);
    const Replay replay(recording);
    const ScoredSample scored = std::move(replay.score(0, std::span(&method, 1)).front());
    const Budget budget = Budget::keep("0.6");
    const Explanation explanation = replay.explain(0, scored, budget);
    const SetExplanation& first = explanation.layers.at(0).at(0);
    EXPECT_EQ(first.guards.at(100), Guard::Layer) << "nothing was pruned before the first layer";
    const SetExplanation& last = explanation.layers.at(4).at(1);
    EXPECT_EQ(last.guards.at(0), Guard::Sink);
    EXPECT_EQ(last.guards.at(229), Guard::Recent);
    std::int64_t dropped = 0;
    for (std::size_t position = 0; position < 230; ++position) {
        const bool ranked = last.ranks[position] > 0;
        const bool entered = explanation.layers.at(3).at(1).kept[position];
        EXPECT_EQ(ranked, entered && last.guards[position] == Guard::None) << position;
        if (ranked && !last.kept[position]) {
            ++dropped;
            EXPECT_LE(last.scores[position], last.threshold) << position;
        }
    }
    EXPECT_GT(dropped, 0);
}

TEST(LayerPruning, GivesTheSameAtOnceAndOneByOneOnAnyNumberOfThreads)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions());
    const Method method = parseMethod(spec);
    const Replay replay(recording);
    std::vector<Budget> budgets;
    for (int percent = 40; percent < 100; percent += 5)
        budgets.push_back(Budget::keep(percent / 100.0));
    const auto sets = [&](const ScoredSample& scored) {
        std::vector<std::map<int, KeepSet>> kept(budgets.size());
        tbb::parallel_for(std::size_t{0}, budgets.size(),
            [&](std::size_t index) { kept[index] = scored.choose(budgets[index]).kept; });
        return kept;
    };
    const ScoredSample together = std::move(replay.score(0, std::span(&method, 1)).front());
    together.prepare(budgets);
    const auto expected = sets(together);
    const ScoredSample apart = std::move(replay.score(0, std::span(&method, 1)).front());
    EXPECT_EQ(sets(apart), expected);
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, 1);
    const ScoredSample alone = std::move(replay.score(0, std::span(&method, 1)).front());
    EXPECT_EQ(sets(alone), expected);
}

TEST(LayerPruning, RemembersTheNewestBudgets)
{
    const TemporaryFolder folder;
    SyntheticRecording options = smallOptions();
    options.layers = 2;
    options.promptTokens = 40;
    const Recording recording = recorded(folder, options);
    const LayerPruning pruning(recording, 0, std::make_shared<PyramidPruner>(PyramidPruner::Parameters{}));
    std::vector<Budget> budgets;
    for (int count = 1; count <= 100; ++count)
        budgets.push_back(Budget::capacity(count));
    pruning.prepare(budgets);
    const auto newest = pruning.at(budgets.back());
    EXPECT_EQ(pruning.at(budgets.back()), newest) << "the very same";
    EXPECT_EQ(pruning.at(budgets.at(50)), pruning.at(budgets.at(50)));
    const auto oldest = pruning.at(budgets.front());
    EXPECT_EQ(pruning.at(budgets.back()), newest);
    EXPECT_EQ(pruning.at(budgets.front()), oldest);
}

TEST(LayerPruning, CachesNoMoreThanTheWindowOfALayer)
{
    const TemporaryFolder folder;
    SyntheticRecording options = smallOptions();
    options.window = 60;
    const Recording recording = recorded(folder, options);
    const Method method = parseMethod(spec);
    const ScoredSample scored = std::move(Replay(recording).score(0, std::span(&method, 1)).front());
    const ReplayResult result = scored.choose(Budget::keep("0.6"));
    EXPECT_EQ(result.kept.at(0).sets.at(0).size(), 60U);
    EXPECT_EQ(result.kept.at(0).sets.at(0).front(), 170);
    EXPECT_EQ(scored.rank(Budget::keep("0.6")).at(4).sets.at(0).guards.size(), 60U);
    EXPECT_GE(result.kept.at(4).sets.at(0).front(), 170);
}

TEST(LayerPruning, GoesOnWhileDecoding)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions());
    const Method method = parseMethod(spec + ",recent_ratio=0.03,gen_block=4");
    const Replay replay(recording);
    const ScoredSample scored = std::move(replay.score(0, std::span(&method, 1)).front());
    const CacheTimeline timeline = replay.timeline(0, scored, Budget::keep("0.7"));
    EXPECT_EQ(timeline.fidelity, Fidelity::Approximate);
    // R = 6: of 40 generated tokens eight blocks of 4 were cut, to max(1, floor(4 * 0.9 * share)) each.
    const std::size_t prompt = scored.choose(Budget::keep("0.7")).kept.at(4).sets.at(0).size();
    EXPECT_EQ(timeline.aliveAfter(40).at(4).sets.at(0).size(), prompt + 40 - 8 * 3);
    EXPECT_EQ(timeline.aliveAfter(9).at(4).sets.at(0).size(), prompt + 9);
    EXPECT_EQ(timeline.aliveAfter(10).at(4).sets.at(0).size(), prompt + 10 - 3);
}

TEST(LayerPruning, SaysWhatIsMissing)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions(RecordKind::Statistics));
    const Method method = parseMethod(spec);
    try {
        Replay(recording).score(0, std::span(&method, 1));
        FAIL();
    } catch (const RecordingError& error) {
        EXPECT_THAT(error.what(), HasSubstr("--record qk"));
    }
    const ScoredSample unrecorded(method, PromptLayout(3), std::span<const LayerEvidence>());
    EXPECT_THROW(unrecorded.choose(Budget::keep("0.5")), MethodError);
    EXPECT_THROW(unrecorded.rank(Budget::keep("0.5")), MethodError);
}

} // namespace
} // namespace kvloupe
