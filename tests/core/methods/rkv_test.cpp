// SPDX-License-Identifier: GPL-3.0-or-later

// R-KV against a transcription of docs/methods.md with whole similarity matrices, in double.

#include "core/methods/rkv.h"

#include "core/replay/replay.h"
#include "tests/core/methods/random_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <numeric>

namespace kvloupe {
namespace {

using namespace random_case;
using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

using Vectors = std::vector<std::vector<float>>;

/// Random directions, some of them nearly the same as an earlier one.
Vectors randomKeys(Dice& dice, std::int64_t tokens, std::int64_t dim)
{
    Vectors keys;
    for (std::int64_t token = 0; token < tokens; ++token) {
        auto& key = keys.emplace_back();
        const bool similar = token > 0 && dice.upTo(2) == 0;
        for (std::int64_t channel = 0; channel < dim; ++channel) {
            const float noise = static_cast<float>(dice.between(-1000, 1000)) / 1000.0F;
            key.push_back(similar
                    ? keys[static_cast<std::size_t>(dice.upTo(token - 1))][static_cast<std::size_t>(channel)]
                        + 0.1F * noise
                    : noise);
        }
    }
    return keys;
}

double product(const std::vector<float>& a, const std::vector<float>& b)
{
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i)
        sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
}

std::vector<double> softmaxOf(const std::vector<double>& values)
{
    std::vector<double> result;
    for (const double value : values)
        result.push_back(std::exp(value));
    const double sum = std::accumulate(result.begin(), result.end(), 0.0);
    for (double& value : result)
        value /= sum;
    return result;
}

/// `queries`: [head][row].
std::vector<double> expectedScores(
    const RedundancyRule& rule, const std::vector<Vectors>& queries, const Vectors& keys, double scale)
{
    const std::size_t tokens = keys.size();
    const std::size_t ranked = tokens - std::min<std::size_t>(tokens, static_cast<std::size_t>(rule.window));
    const std::size_t rows = queries.front().size();
    std::vector<double> importance(ranked, 0.0);
    for (std::size_t row = 0; row < rows; ++row) {
        std::vector<double> logits;
        for (std::size_t token = 0; token < ranked; ++token) {
            double best = -1e300;
            for (const Vectors& head : queries)
                best = std::max(best, scale * product(head[row], keys[token]));
            logits.push_back(best);
        }
        const std::vector<double> attention = softmaxOf(logits);
        for (std::size_t token = 0; token < ranked; ++token)
            importance[token] += attention[token] / static_cast<double>(rows);
    }
    std::vector<std::vector<double>> similarity(tokens, std::vector<double>(tokens, 0.0));
    for (std::size_t i = 0; i < tokens; ++i)
        for (std::size_t j = 0; j < tokens; ++j)
            if (i != j)
                similarity[i][j] = product(keys[i], keys[j])
                    / ((std::sqrt(product(keys[i], keys[i])) + 1e-8) * (std::sqrt(product(keys[j], keys[j])) + 1e-8));
    std::vector<double> columns(tokens, 0.0);
    for (std::size_t i = 0; i < tokens; ++i) {
        std::size_t last = 0;
        for (std::size_t j = 0; j < tokens; ++j)
            if (similarity[i][j] > rule.threshold)
                last = j;
        similarity[i][last] = 0.0;
        for (std::size_t j = 0; j < tokens; ++j)
            columns[j] += similarity[i][j] / static_cast<double>(tokens);
    }
    const std::vector<double> redundancy = softmaxOf(columns);
    std::vector<double> scores;
    for (std::size_t token = 0; token < ranked; ++token) {
        double pooled = 0.0;
        for (std::size_t other = 0; other < ranked; ++other)
            if (std::abs(static_cast<int>(other) - static_cast<int>(token)) <= rule.kernel / 2)
                pooled = std::max(pooled, importance[other]);
        scores.push_back(rule.lambda * pooled - (1.0 - rule.lambda) * redundancy[token]);
    }
    return scores;
}

std::vector<float> flat(const Vectors& vectors)
{
    std::vector<float> result;
    for (const auto& vector : vectors)
        result.insert(result.end(), vector.begin(), vector.end());
    return result;
}

RedundancyRule randomRule(Dice& dice)
{
    RedundancyRule rule;
    rule.window = static_cast<int>(dice.oneOf<std::int64_t>({1, 3, 8}));
    rule.kernel = static_cast<int>(dice.oneOf<std::int64_t>({1, 3, 7}));
    rule.lambda = static_cast<double>(dice.oneOf<std::int64_t>({0, 1, 5, 10})) / 10.0;
    rule.threshold = 0.503; // no multiple of anything that comes up, so that rounding does not decide
    return rule;
}

std::string text(const RedundancyRule& rule)
{
    return "rkv:window=" + std::to_string(rule.window) + ",kernel=" + std::to_string(rule.kernel)
        + ",lambda=" + std::to_string(rule.lambda) + ",threshold=" + std::to_string(rule.threshold);
}

TEST(RkvRandomCases, ScoresAndKeepsAsWholeMatricesDo)
{
    Dice dice(41);
    int decided = 0;
    for (int i = 0; i < cases; ++i) {
        const RedundancyRule rule = randomRule(dice);
        const std::int64_t tokens = dice.between(1, dice.upTo(20) == 0 ? 130 : 30);
        const std::int64_t dim = dice.between(2, 6);
        const int group = static_cast<int>(dice.between(1, 3));
        const int kvHeads = static_cast<int>(dice.between(1, 2));
        EvidenceTable table(group * kvHeads, kvHeads, tokens);
        table.view.headDim = static_cast<int>(dim);
        table.view.softmaxScale = 0.7;
        table.view.lastQueryCount = std::min(tokens, std::int64_t{rule.window} + dice.upTo(2));
        std::vector<float> keys;
        std::vector<float> queries;
        std::vector<std::vector<double>> expected;
        for (int kvHead = 0; kvHead < kvHeads; ++kvHead) {
            const Vectors own = randomKeys(dice, tokens, dim);
            const std::vector<float> values = flat(own);
            keys.insert(keys.end(), values.begin(), values.end());
            std::vector<Vectors> heads;
            for (int head = 0; head < group; ++head) {
                Vectors rows = randomKeys(dice, table.view.lastQueryCount, dim);
                const std::vector<float> all = flat(rows);
                queries.insert(queries.end(), all.begin(), all.end());
                const auto used = std::min<std::int64_t>(rule.window, tokens);
                heads.emplace_back(rows.end() - used, rows.end());
            }
            expected.push_back(expectedScores(rule, heads, own, 0.7));
        }
        table.view.keys = keys;
        table.view.lastQueries = queries;
        const BudgetCase budget = randomBudget(dice);
        const ScoredSample scored(parseMethod(text(rule)), PromptLayout(tokens), std::span(&table.view, 1));
        const KeepSet kept = scored.chooseLayer(budget.budget, 0);
        const std::int64_t count = budget.count(tokens, "auto");
        for (std::size_t set = 0; set < expected.size(); ++set) {
            const auto scores = scored.scores().front().set(static_cast<int>(set));
            for (std::size_t token = 0; token < expected[set].size(); ++token)
                ASSERT_NEAR(scores[token], expected[set][token], 2e-6) << "case " << i << ", token " << token;
            // Where the last score taken and the first one left differ by more than rounding, so must nothing.
            const auto guarded = std::min<std::int64_t>(rule.window, tokens);
            std::vector<double> sorted = expected[set];
            std::sort(sorted.rbegin(), sorted.rend());
            const std::int64_t last = count - guarded - 1;
            if (last >= 0 && last + 1 < std::ssize(sorted)
                && sorted[static_cast<std::size_t>(last)] - sorted[static_cast<std::size_t>(last + 1)] < 1e-6)
                continue;
            ++decided;
            ASSERT_EQ(kept.sets[set], recentThenBest(expected[set], tokens, count, guarded)) << "case " << i;
        }
    }
    EXPECT_GT(decided, cases);
}

TEST(RkvRandomCases, CutsBackAfterEveryInterval)
{
    Dice dice(42);
    int decided = 0;
    for (int i = 0; i < cases / 10; ++i) {
        const RedundancyRule rule = randomRule(dice);
        const std::int64_t interval = dice.between(1, 6);
        const std::int64_t prompt = dice.between(1, 25);
        const std::int64_t steps = dice.between(1, 15);
        const std::int64_t capacity = dice.between(1, 30);
        const std::int64_t dim = 4;
        const std::size_t heads = static_cast<std::size_t>(dice.between(1, 3));
        const Vectors keys = randomKeys(dice, prompt + steps, dim);
        std::vector<Vectors> queries;
        for (std::size_t head = 0; head < heads; ++head)
            queries.push_back(randomKeys(dice, prompt + steps, dim));
        const std::vector<float> keyValues = flat(keys);

        std::vector<std::int32_t> alive;
        for (std::int64_t token = 0; token < prompt; ++token)
            if (token + 1 == prompt || dice.upTo(3) > 0)
                alive.push_back(static_cast<std::int32_t>(token));
        std::vector<float> last;
        const std::int64_t lastCount = std::min<std::int64_t>(prompt, rule.window);
        for (const Vectors& head : queries)
            for (std::int64_t row = prompt - lastCount; row < prompt; ++row)
                last.insert(
                    last.end(), head[static_cast<std::size_t>(row)].begin(), head[static_cast<std::size_t>(row)].end());
        const auto policy = RedundancyPolicy(rule, interval).clone();
        DecodeStart start;
        start.queryHeads = static_cast<int>(heads);
        start.headDim = static_cast<int>(dim);
        start.softmaxScale = 0.5;
        start.promptTokens = prompt;
        start.alive = alive;
        start.keys = {keyValues.data(), static_cast<int>(dim), alive};
        start.lastQueries = last;
        start.lastQueryCount = lastCount;
        start.capacity = capacity;
        policy->begin(start);
        for (std::int64_t n = 1; n <= steps; ++n) {
            const std::int64_t position = prompt + n - 1;
            alive.push_back(static_cast<std::int32_t>(position));
            std::vector<float> query;
            for (const Vectors& head : queries) {
                const auto& row = head[static_cast<std::size_t>(position)];
                query.insert(query.end(), row.begin(), row.end());
            }
            DecodeStep step;
            step.position = position;
            step.alive = alive;
            step.query = query;
            step.keys = {keyValues.data(), static_cast<int>(dim), alive};
            const DecodeVerdict verdict = policy->step(step);

            std::vector<std::int32_t> expected = alive;
            bool clear = true;
            if (n % interval == 0 && std::ssize(alive) > capacity) {
                Vectors held;
                for (const std::int32_t token : alive)
                    held.push_back(keys[static_cast<std::size_t>(token)]);
                std::vector<Vectors> newest;
                const std::int64_t rows = std::min<std::int64_t>(rule.window, position + 1);
                for (const Vectors& head : queries)
                    newest.emplace_back(head.begin() + position + 1 - rows, head.begin() + position + 1);
                const std::vector<double> scores = expectedScores(rule, newest, held, 0.5);
                const auto guarded = std::min<std::int64_t>(rule.window, std::ssize(alive));
                expected.clear();
                for (const std::int32_t slot : recentThenBest(scores, std::ssize(alive), capacity, guarded))
                    expected.push_back(alive[static_cast<std::size_t>(slot)]);
                std::vector<double> sorted = scores;
                std::sort(sorted.rbegin(), sorted.rend());
                const std::int64_t cut = capacity - guarded - 1;
                clear = cut < 0 || cut + 1 >= std::ssize(sorted)
                    || sorted[static_cast<std::size_t>(cut)] - sorted[static_cast<std::size_t>(cut + 1)] > 1e-6;
                EXPECT_EQ(verdict.scores.size(), alive.size());
                EXPECT_EQ(verdict.guards.back(), Guard::Window);
            }
            std::vector<std::int32_t> rest;
            std::ranges::set_difference(alive, verdict.evicted, std::back_inserter(rest));
            ASSERT_EQ(rest.size(), expected.size()) << "case " << i << ", token " << n;
            if (!clear)
                break;
            ++decided;
            ASSERT_EQ(rest, expected) << "case " << i << ", token " << n;
            alive = rest;
        }
    }
    EXPECT_GT(decided, cases / 4);
}

TEST(Rkv, ScoresTheSameOnOneAndManyThreads)
{
    Dice dice(43);
    const std::vector<float> keys = flat(randomKeys(dice, 4 * 150, 8));
    const std::vector<float> queries = flat(randomKeys(dice, 8 * 8, 8));
    EvidenceTable table(8, 4, 150);
    table.view.headDim = 8;
    table.view.lastQueryCount = 8;
    table.view.keys = keys;
    table.view.lastQueries = queries;
    const auto run = [&](std::size_t threads) {
        const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
        return parseMethod("rkv").score(table.view, PromptLayout(150)).values;
    };
    EXPECT_EQ(run(1), run(8));
}

TEST(Rkv, LetsTheLastOfSimilarKeysOffAndRanksTheOthersLower)
{
    // Three equal keys and two that differ, one query that looks at nothing in particular.
    const std::vector<float> keys{1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, -1};
    const std::vector<float> queries{0, 0, 0};
    RedundancyRule rule;
    rule.window = 1;
    rule.kernel = 1;
    const KeyRows rows{keys.data(), 3, {}};
    const std::vector<double> scores = rule.scores(queries, 1, rows, 6, 1.0);
    ASSERT_EQ(scores.size(), 5U);
    EXPECT_LT(scores[0], scores[2]) << "rows 2 and 4 see token 0 as similar; row 4 lets token 2 off";
    EXPECT_LT(scores[2], scores[4]) << "token 4 is the last similar one of rows 0 and 2";
    EXPECT_LT(scores[4], scores[3]) << "opposite to the window's key";
    EXPECT_EQ(scores[4], scores[1]) << "similar to none";
}

TEST(Rkv, HasNoPoliciesWhenOnlyThePromptIsCut)
{
    EXPECT_EQ(parseMethod("rkv:interval=never").decodePolicy, nullptr);
    EXPECT_NE(parseMethod("rkv").decodePolicy, nullptr);
    EXPECT_EQ(parseMethod("rkv@code").parameters.at("lambda"), "0.07");
    EXPECT_TRUE(parseMethod("rkv").withoutPooling().has_value());
}

TEST(Rkv, RejectsParametersOutOfTheirRange)
{
    EXPECT_THROW(parseMethod("rkv:kernel=4"), MethodError);
    EXPECT_THROW(parseMethod("rkv:lambda=1.5"), MethodError);
    EXPECT_THROW(parseMethod("rkv:interval=0"), MethodError);
    EXPECT_THROW(parseMethod("rkv:window=0"), MethodError);
}

} // namespace
} // namespace kvloupe
