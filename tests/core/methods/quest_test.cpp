// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/quest.h"

#include "core/replay/cache_timeline.h"
#include "core/replay/replay.h"
#include "tests/core/methods/random_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace kvloupe {
namespace {

using namespace random_case;
using testing::ElementsAre;
using testing::IsEmpty;

using Positions = std::vector<std::int32_t>;

/// Vectors of small whole numbers, [tokens][dim].
using Vectors = std::vector<std::vector<std::int64_t>>;

Vectors randomVectors(Dice& dice, std::int64_t tokens, std::int64_t dim)
{
    Vectors vectors;
    for (std::int64_t token = 0; token < tokens; ++token) {
        auto& vector = vectors.emplace_back();
        for (std::int64_t channel = 0; channel < dim; ++channel)
            vector.push_back(dice.between(-3, 3));
    }
    return vectors;
}

std::vector<float> flat(const Vectors& vectors)
{
    std::vector<float> result;
    for (const auto& vector : vectors)
        result.insert(result.end(), vector.begin(), vector.end());
    return result;
}

/// What a query does not see: pages by the sum over channels of max(q * smallest, q * largest), the last page and the
/// best others, earlier pages first among equal ones.
Positions hiddenFrom(const Vectors& queries, const Vectors& keys, std::int64_t page, std::int64_t visible)
{
    const auto tokens = std::ssize(keys);
    const std::int64_t pages = (tokens + page - 1) / page;
    std::vector<std::pair<std::int64_t, std::int64_t>> ranked;
    for (std::int64_t p = 0; p < pages; ++p) {
        std::int64_t best = std::numeric_limits<std::int64_t>::min();
        for (const auto& query : queries) {
            std::int64_t score = 0;
            for (std::size_t channel = 0; channel < query.size(); ++channel) {
                std::int64_t low = 100;
                std::int64_t high = -100;
                for (std::int64_t token = p * page; token < std::min(tokens, (p + 1) * page); ++token) {
                    low = std::min(low, keys[static_cast<std::size_t>(token)][channel]);
                    high = std::max(high, keys[static_cast<std::size_t>(token)][channel]);
                }
                score += std::max(query[channel] * low, query[channel] * high);
            }
            best = std::max(best, score);
        }
        ranked.emplace_back(p == pages - 1 ? -1'000'000 : -best, p);
    }
    std::sort(ranked.begin(), ranked.end());
    Positions hidden;
    for (std::size_t i = static_cast<std::size_t>(std::min(visible, pages)); i < ranked.size(); ++i)
        for (std::int64_t token = ranked[i].second * page; token < std::min(tokens, (ranked[i].second + 1) * page);
             ++token)
            hidden.push_back(static_cast<std::int32_t>(token));
    std::sort(hidden.begin(), hidden.end());
    return hidden;
}

TEST(QuestRandomCases, ShowsTheNewestAndTheBestPages)
{
    Dice dice(21);
    for (int i = 0; i < cases; ++i) {
        PageSelection::Parameters parameters;
        parameters.pageTokens = dice.between(1, 6);
        parameters.fewestPages = dice.between(1, 4);
        parameters.denseLayers = static_cast<int>(dice.upTo(2));
        const std::int64_t prompt = dice.between(1, 40);
        const std::int64_t steps = dice.between(1, 12);
        const std::int64_t dim = dice.between(1, 4);
        const std::int64_t heads = dice.between(1, 3);
        const Budget budget = Budget::capacity(dice.between(1, 45));
        const int layer = static_cast<int>(dice.upTo(3));
        const Vectors keys = randomVectors(dice, prompt + steps, dim);
        const std::vector<float> keyValues = flat(keys);

        const auto policy = PageSelection(parameters).clone();
        Positions alive(static_cast<std::size_t>(prompt));
        std::iota(alive.begin(), alive.end(), 0);
        DecodeStart start;
        start.layer = layer;
        start.headDim = static_cast<int>(dim);
        start.queryHeads = static_cast<int>(heads);
        start.promptTokens = prompt;
        start.alive = alive;
        start.keys = {keyValues.data(), static_cast<int>(dim), {}};
        start.capacity = prompt;
        start.budget = &budget;
        ASSERT_THAT(policy->begin(start), IsEmpty());
        for (std::int64_t n = 0; n < steps; ++n) {
            alive.push_back(static_cast<std::int32_t>(prompt + n));
            const Vectors queries = randomVectors(dice, heads, dim);
            const std::vector<float> queryValues = flat(queries);
            DecodeStep step;
            step.position = prompt + n;
            step.alive = alive;
            step.query = queryValues;
            step.keys = {keyValues.data(), static_cast<int>(dim), {}};
            const Vectors seen(keys.begin(), keys.begin() + prompt + n + 1);
            const std::int64_t visible
                = std::max(parameters.fewestPages, budget.tokensKept(prompt) / parameters.pageTokens);
            const Positions expected = layer < parameters.denseLayers
                ? Positions{}
                : hiddenFrom(queries, seen, parameters.pageTokens, visible);
            ASSERT_EQ(policy->hideBefore(step), expected) << "case " << i << ", step " << n;
            const DecodeVerdict verdict = policy->step(step);
            ASSERT_THAT(verdict.evicted, IsEmpty());
            ASSERT_THAT(verdict.hidden, IsEmpty());
        }
    }
}

/// Two query heads over one KV head of two channels; a prompt of six tokens, two generated ones.
class TinyCache final : public DecodeRowSource {
public:
    int queryHeads() const override { return 2; }
    int kvHeads() const override { return 1; }
    int headDim() const override { return 2; }
    std::span<const float> row(int, std::int64_t) override { return {}; }
    std::span<const float> query(int head, std::int64_t) override
    {
        return std::span(m_queries).subspan(head == 0 ? 0 : 2, 2);
    }
    std::span<const float> keys(int) override { return m_keys; }

private:
    std::vector<float> m_queries{1, 0, 0, 1};
    std::vector<float> m_keys{5, 0, 4, 0, 0, 1, 0, 1, 0, 9, 0, 8, 1, 1, 1, 1};
};

TEST(Quest, HasPagesOfItsOwnForEveryQueryHead)
{
    TinyCache cache;
    const Scores scores;
    const auto visible = [&](const std::string& level) {
        const Method method = parseMethod("quest:page=2,min_pages=2,dense_layers=0,level=" + level);
        const Positions all{0, 1, 2, 3, 4, 5};
        const KeepSet kept{Granularity::QueryHead, {level == "q_head" ? 2U : 1U, all}};
        const Budget budget = Budget::capacity(1);
        DecodeRun run{method, kept, scores};
        run.promptTokens = 6;
        run.steps = 2;
        run.budget = &budget;
        std::vector<std::vector<std::vector<TokenRange>>> result;
        for (const HeadTimeline& timeline : decodeTimeline(run, &cache)) {
            EXPECT_THAT(timeline.evictedAt, testing::Each(-1));
            result.push_back(timeline.visible);
        }
        return result;
    };
    // Head 0 looks for the first channel, largest in page {0, 1}; head 1 for the second, largest in page {4, 5}.
    EXPECT_THAT(visible("q_head"),
        ElementsAre(ElementsAre(ElementsAre(TokenRange{0, 2}, TokenRange{6, 7}),
                        ElementsAre(TokenRange{0, 2}, TokenRange{6, 8})),
            ElementsAre(ElementsAre(TokenRange{4, 7}), ElementsAre(TokenRange{4, 8}))));
    EXPECT_THAT(
        visible("kv_head"), ElementsAre(ElementsAre(ElementsAre(TokenRange{4, 7}), ElementsAre(TokenRange{4, 8}))))
        << "9 of head 1 is more than 5 of head 0";
}

TEST(Quest, KeepsThePromptInASetPerHeadOfItsLevel)
{
    EvidenceTable table(6, 2, 5);
    for (const auto& [level, sets] : {std::pair("q_head", 6U), std::pair("kv_head", 2U)}) {
        const ScoredSample scored(
            parseMethod(std::string("quest:level=") + level), PromptLayout(5), std::span(&table.view, 1));
        const KeepSet kept = scored.chooseLayer(Budget::keep("0.2"), 0);
        EXPECT_EQ(granularityName(kept.granularity), level);
        EXPECT_EQ(kept.sets, Sets(sets, Positions{0, 1, 2, 3, 4}));
        EXPECT_EQ(scored.rank(Budget::keep("0.2")).at(0).sets.size(), sets);
    }
}

TEST(Quest, RejectsParametersOutOfTheirRange)
{
    EXPECT_THROW(parseMethod("quest:page=0"), MethodError);
    EXPECT_THROW(parseMethod("quest:level=layer"), MethodError);
    EXPECT_THROW(parseMethod("quest:min_pages=0"), MethodError);
}

} // namespace
} // namespace kvloupe
