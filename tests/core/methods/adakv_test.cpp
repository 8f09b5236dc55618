// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/adakv.h"

#include "tests/core/methods/vector_case.h"
#include "tests/core/methods/worked_maps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <set>
#include <utility>

namespace kvloupe {
namespace {

using namespace random_case;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr float infinity = std::numeric_limits<float>::infinity();

/// The two worked heads as two KV heads.
ScoredSample workedSample(const std::string& spec)
{
    const EvidenceTable table = EvidenceTable::fromMaps({workedHead0(), workedHead1()}, 2);
    return {parseMethod(spec), PromptLayout(12), std::span(&table.view, 1)};
}

TEST(AdaKv, GivesTheHeadWithTheHigherScoresMoreOfTheBudget)
{
    const char* spec = "adakv@kvpress:scorer.window=3,scorer.kernel=3,alpha=0.5";
    const ReplayResult result = workedSample(spec).choose(Budget::compressionRatio("0.58"));
    EXPECT_THAT(result.kept.at(0).sets, ElementsAre(ElementsAre(1, 9, 10, 11), ElementsAre(4, 5, 6, 9, 10, 11)));
    EXPECT_EQ(result.kept.at(0).granularity, Granularity::KvHead);
    EXPECT_EQ(workedSample(spec).method().parameters.at("scorer.window"), "3");
}

TEST(AdaKv, TellsWhatTookATokenBeforeTheJointRanking)
{
    const auto ranking
        = workedSample("adakv:scorer.window=2,scorer.kernel=1,alpha=0.8").rank(Budget::capacity(5)).at(0);
    EXPECT_TRUE(ranking.joint);
    using enum Guard;
    // 4 of 5 are safe in each head: the window of two and the best two.
    EXPECT_THAT(ranking.sets.at(0).guards,
        ElementsAre(HeadMinimum, None, None, None, HeadMinimum, None, None, None, None, None, Window, Window));
    EXPECT_THAT(ranking.sets.at(1).guards,
        ElementsAre(HeadMinimum, None, None, None, None, HeadMinimum, None, None, None, None, Window, Window));
    EXPECT_EQ(ranking.sets.at(0).scores.at(7), 29.0F);
    EXPECT_TRUE(std::isnan(ranking.sets.at(0).scores.at(0)));
    EXPECT_FALSE(workedSample("adakv@kvcf").rank(Budget::capacity(5)).at(0).joint);
}

Scores twoHeads(std::vector<float> values)
{
    Scores scores;
    scores.sets = 2;
    scores.tokens = static_cast<std::int64_t>(values.size() / 2);
    scores.values = std::move(values);
    return scores;
}

TEST(AdaKv, KeepsAMinimumOfEveryHead)
{
    const Scores scores = twoHeads({1, 2, 3, 4, 10, 20, 30, 40});
    EXPECT_THAT(chooseJointly(scores, 2, 0.0).kept, ElementsAre(ElementsAre(), ElementsAre(0, 1, 2, 3)));
    EXPECT_THAT(chooseJointly(scores, 2, 0.2).kept, ElementsAre(ElementsAre(3), ElementsAre(1, 2, 3)))
        << "floor(0.4), but at least 1";
    EXPECT_THAT(chooseJointly(scores, 2, 1.0).kept, ElementsAre(ElementsAre(2, 3), ElementsAre(2, 3)));
    EXPECT_THAT(
        chooseJointly(twoHeads({5, 5, 5, 5, 5, 5}), 2, 0.0).kept, ElementsAre(ElementsAre(0, 1, 2), ElementsAre(0)))
        << "equal scores: the earlier head";
    EXPECT_THAT(chooseJointly(twoHeads({1, 9, infinity, 8, 9, infinity}), 2, 0.0).kept,
        ElementsAre(ElementsAre(1, 2), ElementsAre(1, 2)));
    EXPECT_THAT(chooseJointly(twoHeads({1, infinity, infinity, 8, infinity, infinity}), 1, 0.0).kept,
        ElementsAre(ElementsAre(2), ElementsAre(2)))
        << "the newest of a window that does not fit";
}

TEST(AdaKv, RefusesScorersOfWholeLayersAndOfNothing)
{
    EXPECT_THAT(([] { parseMethod("adakv:scorer=snapkv,scorer.granularity=layer"); }),
        testing::ThrowsMessage<MethodError>(AllOf(HasSubstr("snapkv scores whole layers"), HasSubstr("every head"))));
    EXPECT_THROW(parseMethod("adakv:scorer=streaming_llm"), MethodError);
    EXPECT_THROW(parseMethod("adakv:scorer=adakv"), MethodError);
    EXPECT_THROW(parseMethod("adakv:alpha=1.1"), MethodError);
    EXPECT_THROW(parseMethod("adakv:variant=other"), MethodError);
    EXPECT_NO_THROW(parseMethod("adakv:scorer=expected_attention@kvpress,scorer.epsilon=0.01"));
}

/// Tokens of a set from the one that is kept first to the one that is kept last: the window newest first, then by
/// score.
template <typename Number> std::vector<std::int32_t> orderOf(const std::vector<Number>& scores, std::int64_t tokens)
{
    std::vector<std::int32_t> order;
    for (std::int64_t token = tokens - 1; token >= static_cast<std::int64_t>(scores.size()); --token)
        order.push_back(static_cast<std::int32_t>(token));
    std::vector<std::int32_t> ranked(scores.size());
    std::iota(ranked.begin(), ranked.end(), 0);
    std::stable_sort(ranked.begin(), ranked.end(), [&](std::int32_t a, std::int32_t b) {
        return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
    });
    order.insert(order.end(), ranked.begin(), ranked.end());
    return order;
}

TEST(AdaKvRandomCases, ShareTheBudgetByOneRanking)
{
    Dice dice(111);
    for (int i = 0; i < cases; ++i) {
        const Case given = randomCase(dice);
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding = dice.oneOf(roundings);
        const std::string granularity = dice.oneOf<std::string>({"kv_head", "q_head"});
        const std::int64_t window = dice.oneOf<std::int64_t>({1, 3, 8, 100});
        const std::string alpha = dice.oneOf<std::string>({"0", "0.2", "0.5", "1"});
        const bool interpolate = dice.upTo(1) == 0;
        const bool normalise = dice.upTo(1) == 0;
        const std::int64_t count = budget.count(given.tokens, rounding);
        const std::int64_t guarded = std::min(window, given.tokens);
        const auto votes = windowVotes(given, window, given.tokens - guarded);

        std::vector<Integers> scores;
        Sets orders;
        for (const auto& heads : members(given, granularity)) {
            scores.push_back(reduced(votes, heads, "sum"));
            orders.push_back(orderOf(scores.back(), given.tokens));
        }
        std::vector<std::size_t> kept(
            scores.size(), static_cast<std::size_t>(count)); // of each order, the first so many
        const auto share = static_cast<double>(count) * std::stod(alpha);
        if (!interpolate) {
            std::int64_t safe = static_cast<std::int64_t>(share);
            if (alpha != "0")
                safe = std::max<std::int64_t>(safe, 1);
            safe = std::min(count, std::max(safe, guarded));
            std::vector<std::tuple<std::int64_t, std::size_t, std::int32_t>> claims; // best first when ascending
            for (std::size_t set = 0; set < orders.size() && count > guarded; ++set) {
                kept[set] = static_cast<std::size_t>(safe);
                for (std::size_t place = kept[set]; place < orders[set].size(); ++place) {
                    const std::int32_t token = orders[set][place];
                    claims.emplace_back(-scores[set][static_cast<std::size_t>(token)], set, token);
                }
            }
            std::sort(claims.begin(), claims.end());
            const auto total = static_cast<std::int64_t>(orders.size()) * (count - safe);
            for (std::int64_t claim = 0; claim < total && count > guarded; ++claim)
                ++kept[std::get<1>(claims[static_cast<std::size_t>(claim)])];
        } else if (count > guarded) {
            const std::int64_t base = count - guarded;
            std::vector<std::tuple<float, std::size_t, std::int32_t>> claims;
            for (std::size_t set = 0; set < orders.size(); ++set) {
                double best = 0.0;
                double all = 0.0;
                for (std::size_t place = static_cast<std::size_t>(guarded); place < orders[set].size(); ++place) {
                    const auto score = static_cast<double>(scores[set][static_cast<std::size_t>(orders[set][place])]);
                    all += score;
                    best += place < static_cast<std::size_t>(count) ? score : 0.0;
                }
                for (std::size_t token = 0; token < scores[set].size(); ++token) {
                    const double score = static_cast<double>(scores[set][token]) / 64.0;
                    claims.emplace_back(-static_cast<float>(normalise && all > 0.0 ? score * best / all : score), set,
                        static_cast<std::int32_t>(token));
                }
            }
            std::sort(claims.begin(), claims.end());
            std::vector<std::int64_t> claimed(orders.size(), 0);
            for (std::size_t claim = 0; claim < static_cast<std::size_t>(base) * orders.size(); ++claim)
                ++claimed[std::get<1>(claims[claim])];
            const double equal = std::floor(static_cast<double>(base) * std::stod(alpha));
            for (std::size_t set = 0; set < orders.size(); ++set) {
                const double own = static_cast<double>(claimed[set]) * (1.0 - std::stod(alpha));
                kept[set] = static_cast<std::size_t>(guarded + std::min(given.tokens - guarded, halfEven(own + equal)));
            }
        }
        Sets expected;
        std::size_t total = 0;
        for (std::size_t set = 0; set < orders.size(); ++set) {
            orders[set].resize(kept[set]);
            std::sort(orders[set].begin(), orders[set].end());
            expected.push_back(orders[set]);
            total += kept[set];
        }
        if (!interpolate) {
            ASSERT_EQ(total, orders.size() * static_cast<std::size_t>(count));
        }
        const std::string spec = std::string("adakv:variant=") + (interpolate ? "interp" : "joint") + ",alpha=" + alpha
            + ",normalise=" + (normalise ? "true" : "false") + ",scorer.kernel=1,scorer.gqa_reduce=sum,scorer.window="
            + std::to_string(window) + ",scorer.granularity=" + granularity + ",budget_rounding=" + rounding;
        ASSERT_EQ(keptByCore(spec, given, budget.budget), expected)
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.tokens;
    }
}

} // namespace
} // namespace kvloupe
