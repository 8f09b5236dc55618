// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/h2o.h"

#include "tests/core/methods/policy_course.h"
#include "tests/core/methods/random_case.h"
#include "tests/core/methods/worked_example.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

namespace kvloupe {
namespace {

using namespace random_case;
using namespace worked_example;
using testing::ElementsAre;
using testing::FloatNear;
using testing::IsEmpty;
using testing::Pointwise;

TEST(H2o, CutsOnceUnlessAVariantGoesOn)
{
    for (const char* spec : {"h2o", "h2o@kvcf", "h2o@kvcf-legacy"}) {
        EXPECT_EQ(parseMethod(spec).decodePolicy, nullptr) << spec;
        EXPECT_EQ(parseMethod(spec).fidelity, Fidelity::Exact) << spec;
    }
    for (const char* spec : {"h2o:variant=drop", "h2o:variant=mask", "h2o@paper"}) {
        const Method method = parseMethod(spec);
        ASSERT_NE(method.decodePolicy, nullptr) << spec;
        EXPECT_EQ(method.fidelity, Fidelity::Exact) << spec;
        EXPECT_EQ(method.fidelityWhileDecoding(), Fidelity::Renormalised) << spec;
        EXPECT_EQ(method.decodePolicy->granularity(), method.granularity) << spec;
        EXPECT_TRUE(method.decodePolicy->needs().attention) << spec;
    }
    EXPECT_EQ(parseMethod("h2o@paper").granularity, Granularity::QueryHead);
    EXPECT_EQ(parseMethod("h2o:variant=drop,gqa_reduce=max").decodePolicy->groupReduction(), GroupReduction::Max);
}

/// Sums in percent after a step of the worked examples; the recent tokens are not ranked.
class WorkedSums {
public:
    WorkedSums(bool hides, std::int64_t capacity, std::int64_t recent)
        : m_policy({Granularity::KvHead, GroupReduction::Mean, recent, 0, hides})
        , m_capacity(capacity)
    {
    }

    std::vector<std::int32_t> begin(std::vector<std::int32_t> alive)
    {
        std::vector<float> sums(8, 0.0F);
        for (std::size_t query = 0; query < 8; ++query)
            for (std::size_t key = 0; key <= query; ++key)
                sums[key] += head0[0][query][key];
        DecodeStart start;
        start.promptTokens = 8;
        start.alive = alive;
        start.capacity = m_capacity;
        start.scores = sums;
        m_hidden = m_policy.begin(start);
        m_alive = std::move(alive);
        return m_hidden;
    }

    DecodeVerdict step()
    {
        const auto query = static_cast<std::size_t>(m_next++);
        m_alive.push_back(static_cast<std::int32_t>(query));
        std::vector<float> attention(m_alive.size(), 0.0F);
        float retained = 0.0F;
        const auto isSeen = [&](std::int32_t position) { return std::ranges::count(m_hidden, position) == 0; };
        for (const std::int32_t position : m_alive)
            retained += isSeen(position) ? head0[0][query][static_cast<std::size_t>(position)] : 0.0F;
        for (std::size_t slot = 0; slot < m_alive.size(); ++slot)
            if (isSeen(m_alive[slot]))
                attention[slot] = 100.0F * head0[0][query][static_cast<std::size_t>(m_alive[slot])] / retained;
        DecodeStep step;
        step.position = static_cast<std::int64_t>(query);
        step.alive = m_alive;
        step.attention = attention;
        DecodeVerdict verdict = m_policy.step(step);
        m_hidden = verdict.hidden;
        std::erase_if(
            m_alive, [&](std::int32_t position) { return std::ranges::count(verdict.evicted, position) > 0; });
        return verdict;
    }

    const std::vector<std::int32_t>& alive() const { return m_alive; }

private:
    HeavyHitterPolicy m_policy;
    std::int64_t m_capacity;
    std::int64_t m_next = 8;
    std::vector<std::int32_t> m_alive;
    std::vector<std::int32_t> m_hidden;
};

testing::Matcher<const std::vector<float>&> near(std::vector<float> expected)
{
    return Pointwise(testing::NanSensitiveFloatNear(6e-4F), std::move(expected));
}

TEST(H2o, DropsWhatHasTheSmallestSumAndCarriesTheOthersOn)
{
    WorkedSums sums(false, 5, 2);
    EXPECT_THAT(sums.begin({0, 1, 2, 6, 7}), IsEmpty());
    DecodeVerdict verdict = sums.step();
    EXPECT_THAT(sums.alive(), ElementsAre(0, 1, 2, 7, 8));
    EXPECT_THAT(verdict.scores, near({420.714F, 97.143F, 129.286F, 32.143F, NAN, NAN}));
    EXPECT_THAT(
        verdict.guards, ElementsAre(Guard::None, Guard::None, Guard::None, Guard::None, Guard::Recent, Guard::Recent));
    verdict = sums.step();
    EXPECT_THAT(sums.alive(), ElementsAre(0, 1, 2, 8, 9));
    EXPECT_THAT(verdict.scores, near({455.437F, 99.921F, 140.397F, 50.952F, NAN, NAN}));
    verdict = sums.step();
    EXPECT_THAT(sums.alive(), ElementsAre(0, 1, 2, 9, 10));
    EXPECT_THAT(verdict.scores, near({489.919F, 103.369F, 150.742F, 49.110F, NAN, NAN}));
    verdict = sums.step();
    EXPECT_THAT(sums.alive(), ElementsAre(0, 1, 2, 10, 11));
    EXPECT_THAT(verdict.scores, near({529.919F, 105.369F, 160.742F, 44.902F, NAN, NAN}));
    EXPECT_THAT(verdict.hidden, IsEmpty());
}

TEST(H2o, HidesTheOldestRecentTokenForAStepWhenItMasks)
{
    WorkedSums sums(true, 5, 2);
    EXPECT_THAT(sums.begin({0, 1, 2, 6, 7}), ElementsAre(6)) << "the next query sees 0, 1, 2, 7 and itself";
    DecodeVerdict verdict = sums.step();
    EXPECT_THAT(verdict.scores, near({423.4615F, 97.6923F, 130.3846F, 25.0F, NAN, NAN})) << "6 keeps its sum";
    EXPECT_THAT(verdict.hidden, ElementsAre(7));
    EXPECT_THAT(sums.alive(), ElementsAre(0, 1, 2, 7, 8));
    verdict = sums.step();
    EXPECT_THAT(verdict.scores, near({465.1282F, 101.0256F, 143.7179F, 35.3846F, NAN, NAN}));
    EXPECT_THAT(verdict.hidden, ElementsAre(8));
    verdict = sums.step();
    EXPECT_THAT(verdict.hidden, ElementsAre(9));
    EXPECT_THAT(sums.alive(), ElementsAre(0, 1, 2, 9, 10));
}

TEST(H2o, GoesOnWhileDecodingAsTheWorkedExamplesDo)
{
    const Budget five = Budget::capacity(5);
    const PolicyCourse drop = policyCourse("h2o:variant=drop", head0, 1, 8, five);
    EXPECT_THAT(drop.alive.at(0),
        ElementsAre(ElementsAre(0, 1, 2, 6, 7), ElementsAre(0, 1, 2, 7, 8), ElementsAre(0, 1, 2, 8, 9),
            ElementsAre(0, 1, 2, 9, 10), ElementsAre(0, 1, 2, 10, 11)));
    EXPECT_THAT(drop.seen.at(0).at(0), ElementsAre(0, 1, 2, 6, 7, 8));
    const PolicyCourse mask = policyCourse("h2o:variant=mask", head0, 1, 8, five);
    EXPECT_THAT(mask.seen.at(0),
        ElementsAre(ElementsAre(0, 1, 2, 7, 8), ElementsAre(0, 1, 2, 8, 9), ElementsAre(0, 1, 2, 9, 10),
            ElementsAre(0, 1, 2, 10, 11)));
}

TEST(H2o, DropsInRandomCasesWhatTheRuleDrops)
{
    Dice dice(21);
    for (int i = 0; i < cases; ++i) {
        const DecodeCase given = randomDecodeCase(dice);
        const std::int64_t capacity = dice.between(1, given.promptTokens);
        const std::string granularity = dice.oneOf<std::string>({"layer", "kv_head", "q_head"});
        const std::string reduction = dice.oneOf<std::string>({"mean", "max", "sum"});
        const std::string recentText = dice.oneOf<std::string>({"auto", "half", "0", "1", "3", "20"});
        const bool half = recentText == "auto" || recentText == "half";
        const std::int64_t recent = half ? capacity / 2 : std::stoll(recentText);
        const std::string spec
            = "h2o:variant=drop,granularity=" + granularity + ",gqa_reduce=" + reduction + ",recent=" + recentText;
        const PolicyCourse course
            = policyCourse(spec, given.maps, given.kvHeads, given.promptTokens, Budget::capacity(capacity));

        const auto sets = members(given, granularity);
        for (std::size_t set = 0; set < course.alive.size(); ++set) {
            const std::vector<int>& heads = sets[granularity == "layer" ? 0 : set];
            std::map<std::int32_t, double> sums;
            std::vector<std::int32_t> cache;
            for (std::int32_t key = 0; key < given.promptTokens; ++key) {
                double sum = 0.0;
                for (const int head : heads) {
                    double column = 0.0;
                    for (std::int64_t query = key; query < given.promptTokens; ++query)
                        column += static_cast<double>(given.maps[static_cast<std::size_t>(
                            head)][static_cast<std::size_t>(query)][static_cast<std::size_t>(key)]);
                    sum = reduction == "max" ? std::max(sum, column) : sum + column;
                }
                const double scale = reduction == "mean" ? 1.0 / static_cast<double>(heads.size()) : 1.0;
                sums[key] = static_cast<double>(static_cast<float>(sum * scale));
                cache.push_back(key);
            }
            const auto cut = [&] {
                std::vector<float> scores;
                for (const std::int32_t position : cache)
                    scores.push_back(static_cast<float>(sums[position]));
                cache = keptOf(cache, scores, capacity, recent);
            };
            cut();
            Sets expected{cache};
            for (std::int64_t query = given.promptTokens; query < given.tokens; ++query) {
                cache.push_back(static_cast<std::int32_t>(query));
                const auto attention = given.attention(cache, cache, query, heads, reduction);
                for (std::size_t slot = 0; slot < cache.size(); ++slot)
                    sums[cache[slot]] += static_cast<double>(attention[slot]);
                cut();
                expected.push_back(cache);
            }
            ASSERT_EQ(course.alive[set], expected)
                << "case " << i << ": " << spec << ", " << capacity << " of " << given.promptTokens << ", set " << set;
        }
    }
}

/// The masked variant as its authors wrote it: nothing ever leaves, a mask over all tokens is made after each step, and
/// sums outside of it are set to zero.
Sets maskedCourse(const DecodeCase& given, const std::vector<int>& heads, std::int64_t heavy, std::int64_t recent)
{
    std::vector<double> sums(static_cast<std::size_t>(given.promptTokens), 0.0);
    for (const int head : heads)
        for (std::size_t query = 0; query < sums.size(); ++query)
            for (std::size_t key = 0; key <= query; ++key)
                sums[key] += static_cast<double>(given.maps[static_cast<std::size_t>(head)][query][key]);
    for (double& sum : sums)
        sum = static_cast<double>(static_cast<float>(sum * (1.0 / static_cast<double>(heads.size()))));

    Sets seen;
    for (std::int64_t tokens = given.promptTokens; tokens < given.tokens; ++tokens) {
        // What the query at `tokens` sees.
        std::vector<bool> visible(static_cast<std::size_t>(tokens + 1), true);
        if (tokens > heavy + recent) {
            std::vector<bool> keepsSum(static_cast<std::size_t>(tokens), false);
            std::fill(visible.begin(), visible.end(), false);
            for (std::int64_t i = tokens + 1 - recent; i <= tokens; ++i)
                visible[static_cast<std::size_t>(i)] = true;
            std::vector<float> candidates;
            for (std::int64_t i = 0; i < tokens - recent; ++i)
                candidates.push_back(static_cast<float>(sums[static_cast<std::size_t>(i)]));
            for (const std::int32_t i : recentThenBest(candidates, tokens - recent, heavy, 0)) {
                visible[static_cast<std::size_t>(i)] = true;
                keepsSum[static_cast<std::size_t>(i)] = true;
            }
            for (std::int64_t i = tokens - recent; i < tokens; ++i)
                keepsSum[static_cast<std::size_t>(i)] = true;
            for (std::size_t i = 0; i < keepsSum.size(); ++i)
                sums[i] = keepsSum[i] ? sums[i] : 0.0;
        }
        auto& now = seen.emplace_back();
        std::vector<std::int32_t> all;
        for (std::int32_t i = 0; i <= tokens; ++i) {
            all.push_back(i);
            if (visible[static_cast<std::size_t>(i)])
                now.push_back(i);
        }
        const auto attention = given.attention(all, now, tokens, heads, "mean");
        sums.push_back(0.0);
        for (std::size_t i = 0; i < sums.size(); ++i)
            sums[i] += static_cast<double>(attention[i]);
    }
    return seen;
}

TEST(H2o, MasksInRandomCasesWhatTheAuthorsCodeMasks)
{
    Dice dice(22);
    for (int i = 0; i < cases; ++i) {
        DecodeCase given = randomDecodeCase(dice);
        // Tokens that nobody looks at may come back there, where here they are gone: a softmax has no zeros.
        for (auto& map : given.maps)
            for (auto& row : map)
                for (float& cell : row)
                    cell += 1.0F;
        const std::int64_t capacity = dice.between(2, std::max<std::int64_t>(2, given.promptTokens));
        const std::int64_t realised = std::min(capacity, given.promptTokens);
        const std::string granularity = dice.oneOf<std::string>({"layer", "kv_head", "q_head"});
        const std::string recentText = dice.oneOf<std::string>({"auto", "1", "2", "3"});
        const std::int64_t recent
            = std::min<std::int64_t>(realised, recentText == "auto" ? realised / 2 : std::stoll(recentText));
        if (recent == 0) {
            --i; // nothing is hidden then: as drop
            continue;
        }
        const std::string spec = "h2o:variant=mask,granularity=" + granularity + ",recent=" + recentText;
        const PolicyCourse course
            = policyCourse(spec, given.maps, given.kvHeads, given.promptTokens, Budget::capacity(capacity));
        const auto sets = members(given, granularity);
        for (std::size_t set = 0; set < course.seen.size(); ++set)
            ASSERT_EQ(course.seen[set],
                maskedCourse(given, sets[granularity == "layer" ? 0 : set], realised - recent, recent))
                << "case " << i << ": " << spec << ", " << capacity << " of " << given.promptTokens << ", set " << set;
    }
}

/// Queries and keys of a layer as evidence.
struct VectorTable {
    LayerEvidence view;
    std::vector<float> queries;
    std::vector<float> keys;

    VectorTable(int queryHeads, int kvHeads, std::int64_t tokens, int headDim, Dice& dice)
    {
        const auto draw = [&](std::int64_t count) {
            std::vector<float> values;
            for (std::int64_t i = 0; i < count; ++i)
                values.push_back(static_cast<float>(dice.between(-40, 40)) / 16.0F);
            return values;
        };
        queries = draw(queryHeads * tokens * headDim);
        keys = draw(kvHeads * tokens * headDim);
        view.queryHeads = queryHeads;
        view.kvHeads = kvHeads;
        view.headDim = headDim;
        view.tokens = tokens;
        view.softmaxScale = 0.25;
        view.lastQueryCount = tokens;
        view.lastQueries = queries;
        view.keys = keys;
    }

    /// Attention of a query to keys [0, seen).
    std::vector<double> row(int head, std::int64_t query, std::int64_t seen) const
    {
        std::vector<double> cells;
        double sum = 0.0;
        for (std::int64_t key = 0; key < seen; ++key) {
            double product = 0.0;
            for (int channel = 0; channel < view.headDim; ++channel)
                product += static_cast<double>(view.lastQuery(head, query)[static_cast<std::size_t>(channel)])
                    * static_cast<double>(
                        view.keysOf(head / view.groupSize())[static_cast<std::size_t>(key * view.headDim + channel)]);
            cells.push_back(std::exp(0.25 * product));
            sum += cells.back();
        }
        for (double& cell : cells)
            cell /= sum;
        return cells;
    }
};

TEST(H2o, LetsEarlyQueriesSeeTheFutureInItsLegacyForm)
{
    Dice dice(23);
    for (int i = 0; i < 400; ++i) {
        const auto kvHeads = static_cast<int>(dice.between(1, 2));
        const auto groupSize = static_cast<int>(dice.between(1, 3));
        const std::int64_t tokens = dice.upTo(9) == 0 ? dice.between(100, 200) : dice.between(1, 60);
        const std::int64_t window = dice.oneOf<std::int64_t>({0, 1, 4, 8, 300});
        const VectorTable table(kvHeads * groupSize, kvHeads, tokens, 8, dice);
        const Method method = parseMethod("h2o@kvcf-legacy:granularity=q_head,recent=" + std::to_string(window));
        const Scores scores = method.score(table.view, PromptLayout(tokens));
        ASSERT_EQ(scores.sets, kvHeads * groupSize);
        for (int head = 0; head < kvHeads * groupSize; ++head) {
            std::vector<double> sums(static_cast<std::size_t>(tokens), 0.0);
            for (std::int64_t query = 0; query < tokens; ++query) {
                const bool masked = query >= tokens - window;
                const auto row = table.row(head, query, masked ? query + 1 : tokens);
                for (std::size_t key = 0; key < row.size(); ++key)
                    sums[key] += row[key];
            }
            for (std::int64_t key = 0; key < tokens; ++key)
                ASSERT_NEAR(static_cast<double>(scores.set(head)[static_cast<std::size_t>(key)]),
                    sums[static_cast<std::size_t>(key)], 1e-5 * static_cast<double>(tokens))
                    << "case " << i << ", head " << head << ", key " << key << " of " << tokens;
        }
    }
}

TEST(H2o, IsCausalInItsLegacyFormWhereTheWindowCoversThePrompt)
{
    Dice dice(24);
    VectorTable table(4, 2, 20, 8, dice);
    std::vector<float> sums(4 * 20, 0.0F);
    for (int head = 0; head < 4; ++head)
        for (std::int64_t query = 0; query < 20; ++query) {
            const auto row = table.row(head, query, query + 1);
            for (std::size_t key = 0; key < row.size(); ++key)
                sums[static_cast<std::size_t>(head) * 20 + key] += static_cast<float>(row[key]);
        }
    table.view.columnSums = sums;
    const PromptLayout layout(20);
    EXPECT_THAT(parseMethod("h2o@kvcf-legacy:recent=20").score(table.view, layout).values,
        Pointwise(FloatNear(1e-4F), parseMethod("h2o@kvcf:recent=20").score(table.view, layout).values));
    EXPECT_THAT(parseMethod("h2o@kvcf-legacy:recent=4").score(table.view, layout).values,
        testing::Not(Pointwise(FloatNear(1e-2F), parseMethod("h2o@kvcf").score(table.view, layout).values)));
}

TEST(H2o, WantsQueriesAndKeysForItsLegacyForm)
{
    const EvidenceNeeds needs = parseMethod("h2o@kvcf-legacy").needs(PromptLayout(10));
    EXPECT_EQ(needs.lastQueries, EvidenceNeeds::allQueries);
    EXPECT_TRUE(needs.keys);
    EXPECT_FALSE(needs.columnSums);
    EXPECT_THROW(parseMethod("h2o:variant=kvcf_legacy,recent=half"), MethodError);
    EXPECT_EQ(parseMethod("h2o:variant=kvcf_legacy").parameters.at("recent"), "8");
}

} // namespace
} // namespace kvloupe
