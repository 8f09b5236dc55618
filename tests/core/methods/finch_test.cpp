// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/finch.h"

#include "tests/core/methods/random_case.h"
#include "tests/core/methods/worked_example.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using namespace random_case;
using namespace worked_example;
using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;
using testing::Pointwise;

PromptLayout withQuestion(std::int64_t tokens, std::int64_t question)
{
    return {tokens, tokens, {{tokens - question, tokens, SpanKind::Question, -1, ""}}};
}

TEST(Finch, WeighsQueriesByTheTokensBeforeThem)
{
    const Scores scores = scoresOf("finch", group, withQuestion(12, 3));
    EXPECT_THAT(std::vector<float>(scores.values.begin(), scores.values.begin() + 9),
        Pointwise(FloatNear(6e-5F),
            std::vector<float>{
                173.3333F, 13.1667F, 51.1667F, 65.8333F, 106.8333F, 134.5F, 38.3333F, 103.1667F, 89.3333F}));
    EXPECT_EQ(scores.values[9], std::numeric_limits<float>::infinity());
    EXPECT_THAT(kept("finch", group, Budget::capacity(6), withQuestion(12, 3)), ElementsAre(0, 4, 5, 9, 10, 11));
}

TEST(Finch, IsSnapKvWithoutPoolingWhenItDoesNotNormalise)
{
    const PromptLayout layout = withQuestion(12, 3);
    EXPECT_EQ(scoresOf("finch:normalize=false", group, layout).values,
        scoresOf("snapkv:window=3,kernel=1,window_reduce=mean", group, layout).values);
}

TEST(Finch, TakesTheQuestionFromTheLayout)
{
    const Method method = parseMethod("finch");
    const auto rows
        = [&](std::vector<Span> spans) { return method.needs(PromptLayout(100, 120, std::move(spans))).lastRows; };
    EXPECT_EQ(rows({{80, 90, SpanKind::Question, -1, ""}}), 20) << "to the end of the prompt";
    EXPECT_EQ(rows({{10, 90, SpanKind::Shot, 0, ""}}), 10) << "what follows the last shot";
    EXPECT_EQ(rows({{10, 70, SpanKind::Shot, 0, ""}, {75, 90, SpanKind::Question, -1, ""}}), 25);
    EXPECT_EQ(rows({{75, 90, SpanKind::Question, -1, ""}, {20, 30, SpanKind::Question, -1, ""}}), 25) << "the last";
    EXPECT_EQ(rows({{75, 90, SpanKind::Question, -1, ""}, {105, 110, SpanKind::Question, -1, ""}}), 25)
        << "not among the generated tokens";
}

TEST(Finch, SaysThatAPromptHasNoQuestion)
{
    const EvidenceTable table = EvidenceTable::fromMaps(head0, 1);
    const auto error = [&](const PromptLayout& layout) -> std::string {
        try {
            parseMethod("finch").score(table.view, layout);
        } catch (const MethodError& thrown) {
            return thrown.what();
        }
        return "accepted";
    };
    EXPECT_THAT(error(PromptLayout(12)), HasSubstr("no question"));
    EXPECT_THAT(error(PromptLayout(12)), HasSubstr("--spans"));
    EXPECT_THAT(error(PromptLayout(12)), HasSubstr("capture --shot-separator"));
    EXPECT_THAT(error({12, 12, {{0, 12, SpanKind::Shot, 0, ""}}}), HasSubstr("no question")) << "a shot to the end";
    EXPECT_THAT(error({12, 12, {{0, 8, SpanKind::Context, -1, ""}}}), HasSubstr("no question"));
}

TEST(Finch, MovesKeysTogetherInALiveCache)
{
    EXPECT_EQ(parseMethod("finch").positions, PositionMode::Rerotate);
    EXPECT_EQ(parseMethod("finch:pos_mode=keep").positions, PositionMode::Keep);
}

TEST(Finch, CutsEveryChunkOnItsOwn)
{
    // Question scores of head 0 without normalisation: 65 5 19 | 13 49 12 | 8 41 27 | window.
    const PromptLayout layout = withQuestion(12, 3);
    EXPECT_THAT(kept("finch:normalize=false,chunk=3", head0, Budget::keep("0.34"), layout), ElementsAre(0, 4, 7, 11));
    EXPECT_THAT(kept("finch:normalize=false,chunk=3", head0, Budget::capacity(8), layout),
        ElementsAre(0, 2, 3, 4, 7, 8, 10, 11));
    EXPECT_THAT(kept("finch:normalize=false,chunk=3", head0, Budget::capacity(1), layout), ElementsAre(0, 4, 7, 11))
        << "no chunk is left empty";
    EXPECT_THAT(kept("finch:normalize=false,chunk=5", head0, Budget::keep("0.5"), layout), ElementsAre(0, 4, 7, 9, 11))
        << "a chunk of two at the end";
}

TEST(Finch, TakesTheQuestionThenWhatItLooksAtInRandomCases)
{
    Dice dice(31);
    for (int i = 0; i < cases; ++i) {
        const Case given = randomCase(dice);
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding
            = dice.oneOf<std::string>({"auto", "exact_floor", "trunc_double", "round_half_even"});
        const std::string granularity = dice.oneOf<std::string>({"layer", "kv_head", "q_head"});
        const std::string reduction = dice.oneOf<std::string>({"mean", "max", "sum"});
        const bool normalize = dice.upTo(1) == 0;
        const std::int64_t chunk = dice.oneOf<std::int64_t>({0, 0, 1, 7, 16, 200});
        const std::int64_t question = dice.between(1, given.tokens);
        const std::string spec = std::string("finch:normalize=") + (normalize ? "true" : "false")
            + ",chunk=" + std::to_string(chunk) + ",granularity=" + granularity + ",gqa_reduce=" + reduction
            + ",budget_rounding=" + rounding;

        std::vector<Integers> heads;
        for (const auto& rows : given.rows) {
            Integers& sums = heads.emplace_back(static_cast<std::size_t>(given.tokens), 0);
            for (std::int64_t query = given.tokens - question; query < given.tokens; ++query)
                for (std::size_t key = 0; key < sums.size(); ++key)
                    sums[key] += rows[static_cast<std::size_t>(query)][key] * (normalize ? query : 1);
        }
        Sets expected;
        for (const auto& chosen : members(given, granularity)) {
            const Integers scores = reduced(heads, chosen, reduction);
            auto& set = expected.emplace_back();
            const std::int64_t length = chunk == 0 ? given.tokens : chunk;
            for (std::int64_t first = 0; first < given.tokens; first += length) {
                const std::int64_t end = std::min(first + length, given.tokens);
                const std::int64_t guarded = std::clamp<std::int64_t>(end - (given.tokens - question), 0, end - first);
                std::int64_t count = budget.count(end - first, rounding);
                if (budget.description.starts_with("capacity"))
                    count = std::max<std::int64_t>(
                        1, budget.count(given.tokens, rounding) * (end - first) / given.tokens);
                const Integers part(scores.begin() + first, scores.begin() + end);
                for (const std::int32_t index : recentThenBest(part, end - first, count, guarded))
                    set.push_back(static_cast<std::int32_t>(first) + index);
            }
        }
        const EvidenceTable table = given.evidence();
        const ScoredSample scored(parseMethod(spec), withQuestion(given.tokens, question), std::span(&table.view, 1));
        ASSERT_EQ(scored.choose(budget.budget).kept.at(given.layer).sets,
            repeatedForLayer(expected, granularity, given.kvHeads))
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.tokens << ", question of "
            << question;
    }
}

} // namespace
} // namespace kvloupe
