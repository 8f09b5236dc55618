// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/live_prompt.h"
#include "core/replay/replay.h"
#include "tests/capture/cache/tiny_prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace kvloupe {
namespace {

/// Methods whose prefill a replay knows exactly: all but those that prune between layers.
std::vector<Method> scoredMethods()
{
    std::vector<Method> methods = everyMethod();
    for (const char* spec : {"snapkv:granularity=q_head", "h2o:granularity=layer", "shotkv:obs=all_mean",
             "adakv:scorer=expected_attention", "criticalkv:scorer=snapkv"})
        methods.push_back(parseMethod(spec));
    std::erase_if(methods, [](const Method& method) { return method.layerPruner != nullptr; });
    return methods;
}

TEST(LiveChoices, AreThoseOfAReplayIndexForIndex)
{
    const TemporaryFolder folder;
    // Two blocks of rows, the second of them not whole.
    const std::vector<std::int32_t> ids = tinyIds(250);
    const Recording recording = recordTiny(folder, ids);
    const PromptLayout layout = tinyLayout(std::ssize(ids));
    const std::vector<Method> methods = scoredMethods();
    ASSERT_GE(methods.size(), 30U);
    const std::vector<ScoredSample> replayed = Replay(recording).score(0, layout, methods);
    const auto model = tinyModel();
    const LivePrompt live(onCpu(*model), ids, layout, methods);

    int cuts = 0;
    for (std::size_t i = 0; i < methods.size(); ++i) {
        ASSERT_NE(live.scored(i), nullptr);
        ASSERT_EQ(live.scored(i)->layers().size(), 2U);
        for (std::size_t layer = 0; layer < 2; ++layer) {
            const Scores& ours = live.scored(i)->scores()[layer];
            const Scores& theirs = replayed[i].scores()[layer];
            EXPECT_EQ(ours.values, theirs.values) << methods[i].spec << " layer " << layer;
            EXPECT_EQ(ours.weights, theirs.weights) << methods[i].spec << " layer " << layer;
            EXPECT_EQ(ours.vectors, theirs.vectors) << methods[i].spec << " layer " << layer;
        }
        for (const char* keep : {"0.05", "0.3", "0.71", "1"}) {
            const ReplayResult expected = replayed[i].choose(Budget::keep(keep));
            EXPECT_EQ(live.scored(i)->choose(Budget::keep(keep)).kept, expected.kept) << methods[i].spec << " " << keep;
            const Branch branch = live.branch(i, Budget::keep(keep));
            EXPECT_THAT(branch.notes(), testing::ElementsAreArray(expected.notes));
            for (int layer = 0; layer < 2; ++layer)
                EXPECT_EQ(branch.alive(layer), expected.kept.at(layer)) << methods[i].spec << " " << keep;
            ++cuts;
        }
    }
    EXPECT_EQ(cuts, 4 * std::ssize(methods));
}

TEST(LiveChoices, DoNotDependOnThreads)
{
    const std::vector<std::int32_t> ids = tinyIds(250);
    const std::vector<Method> methods{parseMethod("h2o"), parseMethod("snapkv"), parseMethod("expected_attention")};
    const auto one = tinyModel(1);
    const auto two = tinyModel(2);
    const LivePrompt a(onCpu(*one), ids, PromptLayout(250), methods);
    const LivePrompt b(onCpu(*two), ids, PromptLayout(250), methods);
    for (std::size_t i = 0; i < methods.size(); ++i)
        for (std::size_t layer = 0; layer < 2; ++layer)
            EXPECT_EQ(a.scored(i)->scores()[layer].values, b.scored(i)->scores()[layer].values);
    EXPECT_TRUE(std::ranges::equal(a.logits(), b.logits()));
}

TEST(LiveChoices, ALayoutOfAnotherLengthIsRefused)
{
    const auto model = tinyModel();
    EXPECT_THROW(LivePrompt(onCpu(*model), tinyIds(40), PromptLayout(41), {parseMethod("h2o")}), Error);
    EXPECT_THROW(LivePrompt(onCpu(*model), tinyIds(300), PromptLayout(300), {parseMethod("h2o")}), Error);
}

} // namespace
} // namespace kvloupe
