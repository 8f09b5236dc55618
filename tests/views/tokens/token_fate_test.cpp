// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/tokens/token_fate.h"

#include "views/methods/head_votes.h"

#include <gtest/gtest.h>

namespace kvloupe {
namespace {

constexpr float none = std::numeric_limits<float>::quiet_NaN();

/// Six tokens: one sink, three ranked of which one is kept, two in the window.
SetExplanation sixTokens()
{
    SetExplanation set;
    set.kept = {true, false, true, false, true, true};
    set.guards = {Guard::Sink, Guard::None, Guard::None, Guard::None, Guard::Window, Guard::Window};
    set.scores = {none, 0.125F, 0.5F, 0.25F, none, none};
    set.ranks = {0, 3, 1, 2, 0, 0};
    set.threshold = 0.5F;
    set.rankedTokens = 3;
    set.guardedTokens = 3;
    set.realisedTokens = 4;
    return set;
}

TokenQuestion ask(const SetExplanation& set, std::int64_t token)
{
    return {token, QStringLiteral("cat"), QStringLiteral("SnapKV"), QStringLiteral("layer 3, KV head 1"), &set, 4,
        {{QStringLiteral("H2O"), true}, {QStringLiteral("StreamingLLM"), false},
            {QStringLiteral("TOVA"), std::nullopt}}};
}

TEST(TokenFate, SaysWhyATokenWasDropped)
{
    EXPECT_EQ(tokenFate(ask(sixTokens(), 3)).text().toStdString(),
        "SnapKV drops token 3 \u201Ccat\u201D in layer 3, KV head 1\n"
        "It has rank 2 of 3 for 1 places.\n"
        "Score: 0.25\n"
        "Rank: 2 of 3\n"
        "Threshold: 0.5\n"
        "Protection: none\n"
        "Budget: 4 tokens asked for, 4 kept, 3 of them unranked\n"
        "Kept by: H2O\n"
        "Dropped by: StreamingLLM");
}

TEST(TokenFate, SaysWhatProtectsAToken)
{
    EXPECT_EQ(tokenFate(ask(sixTokens(), 5)).text().toStdString(),
        "SnapKV keeps token 5 \u201Ccat\u201D in layer 3, KV head 1\n"
        "It was not ranked: it is in the observation window, whose queries do the scoring.\n"
        "Score: not ranked\n"
        "Threshold: 0.5\n"
        "Protection: in the observation window, whose queries do the scoring\n"
        "Budget: 4 tokens asked for, 4 kept, 3 of them unranked\n"
        "Kept by: H2O\n"
        "Dropped by: StreamingLLM");
}

TEST(TokenFate, SaysWhenTheBudgetIsTooSmallForTheProtected)
{
    SetExplanation set = sixTokens();
    set.kept[4] = false;
    EXPECT_EQ(tokenFate(ask(set, 4)).reason.toStdString(),
        "It is in the observation window, whose queries do the scoring, but the budget does not even hold all of "
        "these.");
}

TEST(TokenFate, SaysWhatPoolingDid)
{
    SetExplanation set = sixTokens();
    set.keptWithoutPooling = {true, true, false, false, true, true};
    set.scoresWithoutPooling = {none, 0.5F, 0.0625F, 0.0F, none, none};
    EXPECT_EQ(tokenFate(ask(set, 2)).reason.toStdString(),
        "It has rank 1 of 3 for 1 places; without pooling it would be dropped: its neighbours carry it.");
    EXPECT_EQ(tokenFate(ask(set, 1)).reason.toStdString(),
        "It has rank 3 of 3 for 1 places; without pooling it would be kept: neighbours of stronger tokens took its "
        "place.");
    EXPECT_TRUE(tokenFate(ask(set, 2)).text().contains(QStringLiteral("Without pooling: score 0.0625, dropped")));
    EXPECT_TRUE(tokenFate(ask(set, 5)).text().contains(QStringLiteral("Without pooling: score none, kept")));
}

TEST(TokenFate, EveryLineSaysWhatItMeans)
{
    for (const FateLine& line : tokenFate(ask(sixTokens(), 3)).lines)
        EXPECT_GT(line.meaning.size(), 20) << qPrintable(line.name);
}

TEST(TokenFate, WithoutATokenItSaysWhatToDo)
{
    EXPECT_EQ(tokenFate({}).text(), QStringLiteral("Click a token to see why it was kept or dropped."));
    TokenQuestion waiting = ask(sixTokens(), 3);
    waiting.set = nullptr;
    EXPECT_EQ(
        tokenFate(waiting).text().toStdString(), "token 3 \u201Ccat\u201D\nKept by: H2O\nDropped by: StreamingLLM");
}

TEST(HeadVotes, CountsSetsOfAllLayers)
{
    const std::vector<KeepSet> layers{
        {Granularity::KvHead, {{0, 1, 3}, {0, 9}}}, {Granularity::KvHead, {{0, 3}, {3, -1}}}};
    const HeadVotes votes = countVotes(layers, 4);
    EXPECT_EQ(votes.counts, (std::vector<std::int32_t>{3, 1, 0, 3}));
    EXPECT_EQ(votes.heads, 4);
    EXPECT_DOUBLE_EQ(votes.share(3), 0.75);
    EXPECT_DOUBLE_EQ(votes.share(4), 0.0) << "generated tokens have no votes";
    EXPECT_TRUE(countVotes({}, 4).isEmpty());
}

} // namespace
} // namespace kvloupe
