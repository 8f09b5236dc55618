// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/expected_attention.h"

#include "tests/core/methods/vector_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <cmath>
#include <limits>

namespace kvloupe {
namespace {

using namespace random_case;
using testing::Each;
using testing::ElementsAre;
using testing::FloatNear;

constexpr float infinity = std::numeric_limits<float>::infinity();

/// One head of two channels that turns by `frequency` per position.
struct Pair {
    std::vector<float> keys, valueNorms, mean, covariance;
    std::vector<double> frequency;

    Scores scores(const std::string& spec, std::int64_t firstPosition = 0) const
    {
        LayerEvidence view;
        view.firstPosition = firstPosition;
        view.queryHeads = 1;
        view.kvHeads = 1;
        view.headDim = 2;
        view.tokens = static_cast<std::int64_t>(keys.size() / 2);
        view.keys = keys;
        view.valueNorms = valueNorms;
        view.queryMeans = mean;
        view.queryCovariances = covariance;
        view.inverseFrequencies = frequency;
        return parseMethod(spec).score(view, PromptLayout(firstPosition + view.tokens));
    }
};

TEST(ExpectedAttention, IsTheSoftmaxOfMeanAndSpreadTimesTheNormsOfValues)
{
    const Pair given{{9, 9, 1, 0, 0, 1}, {5, 2, 3}, {1, 0}, {2, 0, 0, 6}, {0.0}};
    const double root = std::sqrt(2.0);
    const auto near = [](double value) { return FloatNear(static_cast<float>(value), 1e-6F); };
    // Without rotation: z = 1 / sqrt(2) + 2 / 4 and 6 / 4.
    double first = std::exp(1.0 / root + 0.5);
    double second = std::exp(1.5);
    EXPECT_THAT(given.scores("expected_attention:n_sink=1").values,
        ElementsAre(infinity, near(2 * first / (first + second)), near(3 * second / (first + second))));
    EXPECT_THAT(given.scores("expected_attention:n_sink=1,epsilon=0.5").values,
        ElementsAre(infinity, near(2 * (first / (first + second) + 0.5)), near(3 * (second / (first + second) + 0.5))));
    first = std::exp(1.0 / root);
    EXPECT_THAT(given.scores("expected_attention:n_sink=1,covariance=false,vnorm=false,epsilon=7").values,
        ElementsAre(infinity, near(first / (first + 1)), near(1 / (first + 1))));
    EXPECT_THAT(given.scores("expected_attention").values, Each(infinity)) << "no more tokens than sinks";
}

TEST(ExpectedAttention, TurnsTheStatisticsToTheNextPositions)
{
    // A quarter turn per position, two tokens: positions 2 and 3 turn by 180 and 270 degrees, so that east becomes the
    // mean of west and south.
    const Pair given{{1, 0, 0, -1}, {1, 1}, {1, 0}, {0, 0, 0, 0}, {std::acos(0.0)}};
    const auto both = given.scores("expected_attention:n_sink=0,n_future=2").values;
    const double west = std::exp(-0.5 / std::sqrt(2.0));
    const double south = std::exp(0.5 / std::sqrt(2.0));
    EXPECT_NEAR(both[0], west / (west + south), 1e-6);
    EXPECT_NEAR(both[1], south / (west + south), 1e-6);
    // In a sliding window whose first token is the second of the prompt, the next positions are 3 and 4: south and
    // east.
    const auto later = given.scores("expected_attention:n_sink=0,n_future=2", 1).values;
    EXPECT_NEAR(later[0], 0.5, 1e-6) << "half east";
    EXPECT_NEAR(later[1], 0.5, 1e-6) << "half south";
}

TEST(ExpectedAttention, RefusesOddHeadsAndMissingStatistics)
{
    LayerEvidence view;
    view.queryHeads = 1;
    view.kvHeads = 1;
    view.headDim = 3;
    view.tokens = 2;
    const std::vector<float> numbers(9, 1.0F);
    const std::vector<double> frequencies{1.0};
    EXPECT_THROW(parseMethod("expected_attention").score(view, PromptLayout(2)), MethodError);
    view.keys = std::span(numbers).first(6);
    view.valueNorms = std::span(numbers).first(2);
    view.queryMeans = std::span(numbers).first(3);
    view.queryCovariances = numbers;
    view.inverseFrequencies = frequencies;
    EXPECT_THROW(parseMethod("expected_attention").score(view, PromptLayout(2)), MethodError);
    EXPECT_FALSE(parseMethod("expected_attention:vnorm=false").needs(PromptLayout(2)).valueNorms);
    EXPECT_THROW(parseMethod("expected_attention:n_future=0"), MethodError);
    EXPECT_THROW(parseMethod("expected_attention:epsilon=-1"), MethodError);
}

using Matrix = std::vector<std::vector<double>>;

Matrix product(const Matrix& a, const Matrix& b)
{
    Matrix result(a.size(), std::vector<double>(b.front().size(), 0.0));
    for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t j = 0; j < b.front().size(); ++j)
            for (std::size_t k = 0; k < b.size(); ++k)
                result[i][j] += a[i][k] * b[k][j];
    return result;
}

Matrix transposed(const Matrix& a)
{
    Matrix result(a.front().size(), std::vector<double>(a.size()));
    for (std::size_t i = 0; i < a.size(); ++i)
        for (std::size_t j = 0; j < a.front().size(); ++j)
            result[j][i] = a[i][j];
    return result;
}

/// Mean of whole rotation matrices, in which channel i turns with i + size / 2.
Matrix meanRotation(const VectorCase& given, std::int64_t future)
{
    const auto size = static_cast<std::size_t>(given.headDim);
    Matrix mean(size, std::vector<double>(size, 0.0));
    for (std::int64_t position = given.tokens; position < given.tokens + future; ++position)
        for (std::size_t i = 0; i < size / 2; ++i) {
            const double angle = given.inverseFrequencies[i] * static_cast<double>(position);
            mean[i][i] += std::cos(angle) / static_cast<double>(future);
            mean[i + size / 2][i + size / 2] += std::cos(angle) / static_cast<double>(future);
            mean[i + size / 2][i] += std::sin(angle) / static_cast<double>(future);
            mean[i][i + size / 2] -= std::sin(angle) / static_cast<double>(future);
        }
    return mean;
}

TEST(ExpectedAttentionRandomCases, KeepSinksAndTheHighestExpectation)
{
    Dice dice(104);
    for (int i = 0; i < cases; ++i) {
        const VectorCase given = randomVectors(dice, 50, true);
        const BudgetCase budget = randomBudget(dice);
        const std::string rounding = dice.oneOf(roundings);
        const std::int64_t sinks = dice.oneOf<std::int64_t>({0, 1, 4, 100});
        const std::int64_t future = dice.oneOf<std::int64_t>({1, 2, 9});
        const bool spread = dice.upTo(3) != 0;
        const bool norms = dice.upTo(2) != 0;
        const std::string epsilon = dice.oneOf<std::string>({"0", "0.01"});
        const std::int64_t count = budget.count(given.tokens, rounding);
        const std::string spec = "expected_attention:n_sink=" + std::to_string(sinks)
            + ",n_future=" + std::to_string(future) + ",covariance=" + (spread ? "1" : "0")
            + ",vnorm=" + (norms ? "1" : "0") + ",epsilon=" + epsilon + ",budget_rounding=" + rounding;

        const auto size = static_cast<std::size_t>(given.headDim);
        const Matrix turn = meanRotation(given, future);
        const Scores scores = parseMethod(spec).score(given.evidence().view, PromptLayout(given.tokens));
        Sets expected;
        for (int kvHead = 0; kvHead < given.kvHeads; ++kvHead) {
            std::vector<double> attention(static_cast<std::size_t>(given.tokens), 0.0);
            for (int member = 0; member < given.groupSize; ++member) {
                const auto head = static_cast<std::size_t>(kvHead * given.groupSize + member);
                Matrix mean(size, std::vector<double>(1));
                Matrix covariance(size, std::vector<double>(size));
                for (std::size_t row = 0; row < size; ++row) {
                    mean[row][0] = static_cast<double>(given.queryMeans[head * size + row]);
                    for (std::size_t column = 0; column < size; ++column)
                        covariance[row][column]
                            = static_cast<double>(given.queryCovariances[(head * size + row) * size + column]);
                }
                mean = product(turn, mean);
                covariance = product(product(turn, covariance), transposed(turn));
                std::vector<double> logits;
                double sum = 0.0;
                for (std::int64_t token = sinks; token < given.tokens; ++token) {
                    Matrix key(size, std::vector<double>(1));
                    for (std::size_t channel = 0; channel < size; ++channel)
                        key[channel][0] = static_cast<double>(given.key(kvHead, token, static_cast<int>(channel)));
                    double logit = product(transposed(key), mean)[0][0] / std::sqrt(static_cast<double>(size));
                    if (spread)
                        logit += product(transposed(key), product(covariance, key))[0][0] / 2.0
                            / static_cast<double>(size);
                    logits.push_back(std::exp(logit));
                    sum += logits.back();
                }
                for (std::size_t index = 0; index < logits.size(); ++index)
                    attention[static_cast<std::size_t>(sinks) + index] += logits[index] / sum / given.groupSize;
            }
            std::vector<double> slow;
            for (std::int64_t token = 0; token < given.tokens; ++token) {
                const auto index = static_cast<std::size_t>(token);
                double score = attention[index];
                if (norms)
                    score = (score + std::stod(epsilon))
                        * static_cast<double>(
                            given.valueNorms[static_cast<std::size_t>(kvHead * given.tokens) + index]);
                slow.push_back(token < sinks ? 1e30 - static_cast<double>(token) : score);
                if (token >= sinks) {
                    ASSERT_NEAR(scores.set(kvHead)[index], score, 1e-5 * score + 1e-12) << spec << " token " << token;
                }
            }
            // The selection is compared on the scores as they are kept, in float32.
            std::vector<float> rounded;
            for (const double score : slow)
                rounded.push_back(static_cast<float>(score));
            if (sinks >= given.tokens) // all of them sinks: counts as one recent window
                expected.push_back(recentThenBest(rounded, given.tokens, count, given.tokens));
            else
                expected.push_back(largestOf(rounded, count));
        }
        ASSERT_EQ(keptByCore(spec, given, budget.budget), expected)
            << "case " << i << ": " << spec << ", " << budget.description << " of " << given.tokens;
    }
}

TEST(VectorMethods, CountPositionsFromTheFirstTokenInTheCache)
{
    Dice dice(106);
    VectorCase whole = randomVectors(dice, 80, true);
    while (whole.tokens < 40)
        whole = randomVectors(dice, 80, true);
    addAttention(whole, dice);
    whole.inverseFrequencies.assign(whole.inverseFrequencies.size(), 0.0); // or the same tokens would score otherwise
    const EvidenceTable table = whole.evidence();
    LayerEvidence slid = table.view;
    slid.firstPosition = 1000;
    for (const char* spec : {"knorm", "keydiff", "keydiff:block_size=5", "lagkv:lag=4", "expected_attention",
             "adakv:scorer.window=4", "criticalkv:scorer.window=4", "chunkkv:scorer.window=4,chunk=3"}) {
        const auto kept = [&](const LayerEvidence& view) {
            const PromptLayout layout(view.firstPosition + view.tokens);
            return ScoredSample(parseMethod(spec), layout, std::span(&view, 1)).choose(Budget::capacity(20)).kept;
        };
        Sets expected = kept(table.view).at(whole.layer).sets;
        for (auto& set : expected)
            for (std::int32_t& position : set)
                position += 1000;
        EXPECT_EQ(kept(slid).at(whole.layer).sets, expected) << spec;
    }
}

TEST(VectorMethods, KeepWithALargerBudgetWhatTheyKeptWithASmallerOne)
{
    Dice dice(107);
    for (int i = 0; i < 200; ++i) {
        VectorCase given = randomVectors(dice, 40, true);
        addAttention(given, dice);
        const EvidenceTable table = given.evidence();
        for (const char* spec : {"knorm", "keydiff", "lagkv:n_sink=0,lag=4", "expected_attention:n_sink=1",
                 "adakv:scorer=knorm", "adakv:scorer=knorm,alpha=0", "criticalkv:first_share=0,scorer=knorm"}) {
            const ScoredSample scored(parseMethod(spec), PromptLayout(given.tokens), std::span(&table.view, 1));
            Sets smaller(static_cast<std::size_t>(given.kvHeads));
            for (std::int64_t capacity = 1; capacity <= given.tokens; ++capacity) {
                const Sets larger = scored.chooseLayer(Budget::capacity(capacity), given.layer).sets;
                for (std::size_t set = 0; set < larger.size(); ++set)
                    ASSERT_TRUE(std::ranges::includes(larger[set], smaller[set])) << spec << " at " << capacity;
                smaller = larger;
            }
        }
    }
}

TEST(VectorMethods, KeepTheSameOnOneAndManyThreads)
{
    Dice dice(105);
    VectorCase layer = randomVectors(dice, 80, true);
    while (layer.tokens < 40)
        layer = randomVectors(dice, 80, true);
    addAttention(layer, dice);
    const EvidenceTable table = layer.evidence();
    std::vector<LayerEvidence> evidence;
    for (int number = 0; number < 12; ++number) {
        evidence.push_back(table.view);
        evidence.back().layer = number;
        evidence.back().numLayers = 12;
    }
    for (const char* spec : {"knorm", "knorm@kvcf", "keydiff", "keydiff:block_size=5", "lagkv:lag=4",
             "expected_attention", "adakv:scorer.window=4", "adakv@kvcf", "criticalkv:scorer.window=4",
             "criticalkv@kvpress-ada:scorer.window=4", "chunkkv:scorer.window=4,chunk=3",
             "chunkkv@paper:scorer.window=4", "chunkkv@kvpress:scorer.window=4,chunk=3,reuse_layers=3"})
        for (const char* keep : {"0.1", "0.5", "0.9"}) {
            const auto run = [&](std::size_t threads) {
                const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
                return ScoredSample(parseMethod(spec), PromptLayout(layer.tokens), evidence)
                    .choose(Budget::keep(keep))
                    .kept;
            };
            EXPECT_EQ(run(1), run(8)) << spec << " " << keep;
        }
}

} // namespace
} // namespace kvloupe
