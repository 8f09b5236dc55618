// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/evaluation/prompt_run.h"

#include "capture/model/model_error.h"
#include "tests/capture/cache/tiny_prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace kvloupe {
namespace {

using testing::ElementsAre;

class PromptRunTest : public testing::Test {
protected:
    static constexpr int tokens = 120;

    /// What the same model says of the same text without any of our caches.
    std::vector<std::int32_t> plainTokens(std::int64_t count) const
    {
        KvCache cache = model->makeCache(std::ssize(ids) + count);
        const PrefillResult prefill = model->prefill(ids, cache);
        return model->generateGreedy(cache, prefill.lastLogits, count, {});
    }

    std::vector<BranchRun> run(const std::vector<std::string>& specs, const std::vector<double>& keeps,
        PromptRunOptions options, std::int64_t compressed = tokens) const
    {
        const std::vector<std::int32_t> head(ids.begin(), ids.begin() + compressed);
        const PromptLayout whole = tinyLayout(tokens);
        std::vector<Span> spans;
        for (const Span& span : whole.spans())
            if (span.end <= compressed)
                spans.push_back(span);
        const PromptLayout layout(compressed, compressed, std::move(spans));
        const LivePrompt prompt(onCpu(*model), head, layout, methodsOf(specs));
        std::vector<BranchRequest> requests{{0, Budget::keep("1")}};
        for (std::size_t method = 1; method < specs.size(); ++method)
            for (const double keep : keeps)
                requests.push_back({method, Budget::keep(keep)});
        return runBranches(onCpu(*model), prompt, requests, options);
    }

    static PromptRunOptions generating(std::int64_t count)
    {
        PromptRunOptions options;
        options.maxTokens = count;
        options.bytesOf = [](std::int32_t id) { return std::string(1, static_cast<char>('0' + id)); };
        return options;
    }

    static void expectMeasured(const std::vector<std::string>& specs, const std::vector<BranchRun>& runs)
    {
        ASSERT_EQ(runs.size(), specs.size());
        for (std::size_t i = 0; i < runs.size(); ++i) {
            SCOPED_TRACE(specs[i]);
            EXPECT_EQ(runs[i].ids.size(), 3U);
            EXPECT_TRUE(std::isfinite(runs[i].goldLogProbability));
            EXPECT_LT(runs[i].goldLogProbability, 0.0);
            EXPECT_GT(runs[i].keptShare, 0.0);
            EXPECT_LE(runs[i].keptShare, 1.0);
        }
    }

    std::shared_ptr<Transformer> model = tinyModel();
    std::vector<std::int32_t> ids = tinyIds(tokens);
};

TEST_F(PromptRunTest, TheFirstBranchIsThePlainRunOfTheModel)
{
    PromptRunOptions options = generating(12);
    options.gold = {9, 30, 31, 7};
    const auto runs = run({"full", "snapkv"}, {0.2}, options);
    EXPECT_EQ(runs[0].ids, plainTokens(12));
    EXPECT_EQ(runs[0].end, ResponseEnd::Length);
    EXPECT_EQ(runs[0].text.size(), 12U);
    EXPECT_EQ(runs[0].keptPerLayer, (std::vector<double>{tokens, tokens}));
    EXPECT_FALSE(runs[0].divergence);

    std::vector<std::int32_t> whole = ids;
    whole.insert(whole.end(), options.gold.begin(), options.gold.end());
    KvCache cache = model->makeCache(std::ssize(whole));
    const PrefillResult prefill = model->prefill(whole, cache);
    double nll = 0.0;
    for (std::size_t i = tokens; i < whole.size(); ++i)
        nll += static_cast<double>(prefill.nll[i]);
    EXPECT_NEAR(-runs[0].goldLogProbability, nll, 1e-4);
    EXPECT_GT(std::abs(runs[1].goldLogProbability - runs[0].goldLogProbability), 1e-3);
}

TEST_F(PromptRunTest, ACacheThatKeepsEverythingGivesTheTokensOfThePlainRun)
{
    const auto runs = run({"full", "snapkv", "streaming_llm", "shotkv", "adakv:scorer=snapkv"}, {1.0}, generating(12));
    for (const BranchRun& one : runs)
        EXPECT_EQ(one.ids, runs[0].ids);
    for (std::size_t i = 1; i < runs.size(); ++i) {
        EXPECT_LT(*runs[i].divergence, 1e-6);
        EXPECT_DOUBLE_EQ(runs[i].keptShare, 1.0);
    }
}

TEST_F(PromptRunTest, SmallBatchesGiveWhatOneBatchGives)
{
    const std::vector<std::string> specs{"full", "snapkv", "h2o", "streaming_llm"};
    PromptRunOptions options = generating(10);
    options.gold = {5, 6, 7};
    const auto together = run(specs, {0.5, 0.2}, options);
    options.batchBytes = 1;
    const auto apart = run(specs, {0.5, 0.2}, options);
    ASSERT_EQ(together.size(), 7U);
    for (std::size_t i = 0; i < together.size(); ++i) {
        EXPECT_EQ(apart[i].ids, together[i].ids) << i;
        EXPECT_EQ(apart[i].keptPerLayer, together[i].keptPerLayer);
        EXPECT_NEAR(apart[i].goldLogProbability, together[i].goldLogProbability, 1e-4);
        EXPECT_NEAR(apart[i].meanTokens, together[i].meanTokens, 1e-12);
        ASSERT_EQ(apart[i].divergence.has_value(), i > 0);
        if (i > 0) {
            EXPECT_NEAR(*apart[i].divergence, *together[i].divergence, 1e-5);
            EXPECT_GT(*together[i].divergence, 1e-4);
        }
    }
    EXPECT_NEAR(together[1].keptShare, 0.5, 1e-12);
    EXPECT_NEAR(together[2].keptShare, 0.2, 1e-12);
    // 24 kept tokens, 9 more by the last step, so 28 in the mean.
    EXPECT_NEAR(together[2].meanTokens, 28.0, 1e-12);
}

TEST_F(PromptRunTest, TheFirstTokenMayComeFromTheCompressedCache)
{
    PromptRunOptions options = generating(1);
    options.gold = {20};
    const auto full = run({"full", "streaming_llm"}, {0.1}, options);
    EXPECT_DOUBLE_EQ(full[0].goldLogProbability, full[1].goldLogProbability);
    EXPECT_EQ(*full[1].divergence, 0.0);
    options.repeatLastToken = true;
    const auto compressed = run({"full", "streaming_llm"}, {0.1}, options);
    EXPECT_NEAR(compressed[0].goldLogProbability, full[0].goldLogProbability, 1e-5);
    EXPECT_GT(std::abs(compressed[1].goldLogProbability - compressed[0].goldLogProbability), 1e-3);
    EXPECT_GT(*compressed[1].divergence, 1e-4);
}

TEST_F(PromptRunTest, AQuestionBehindACompressedContextIsSeenWhole)
{
    constexpr std::int64_t context = tokens - 15;
    PromptRunOptions options = generating(8);
    options.gold = {11, 12};
    options.question.assign(ids.begin() + context, ids.end());
    const auto runs = run({"full", "streaming_llm", "snapkv"}, {0.2}, options, context);
    EXPECT_EQ(runs[0].ids, plainTokens(8));
    EXPECT_EQ(runs[0].keptPerLayer, (std::vector<double>{context, context}));
    EXPECT_EQ(runs[1].keptPerLayer, (std::vector<double>{21, 21})); // floor(0.2 * 105)
    EXPECT_NEAR(runs[1].meanTokens, 21 + 15 + 3.0, 1e-12);
    EXPECT_GT(*runs[1].divergence, 1e-4);
}

TEST_F(PromptRunTest, ResponsesEndAtAStopTheEndOfTheTextOrTheEndOfTheContext)
{
    const std::vector<std::int32_t> plain = plainTokens(6);
    PromptRunOptions options = generating(6);
    options.stops = {std::string(1, static_cast<char>('0' + plain[2]))};
    const std::size_t first
        = static_cast<std::size_t>(std::ranges::find(plain, plain[2]) - plain.begin()); // it may come earlier
    const auto stopped = run({"full"}, {}, options);
    EXPECT_EQ(stopped[0].end, ResponseEnd::Stop);
    EXPECT_EQ(stopped[0].ids.size(), first + 1);
    EXPECT_EQ(stopped[0].text.size(), first);

    options.stops.clear();
    options.eosIds = {plain[2]};
    const auto ended = run({"full"}, {}, options);
    EXPECT_EQ(ended[0].end, ResponseEnd::EndOfSequence);
    EXPECT_EQ(ended[0].ids.size(), first + 1);
    EXPECT_EQ(ended[0].text.size(), first);

    const auto cut = run({"full", "snapkv"}, {0.3}, generating(1000));
    for (const BranchRun& one : cut) {
        EXPECT_EQ(one.end, ResponseEnd::Context);
        EXPECT_EQ(std::ssize(one.ids), model->config().maxPositions - tokens + 1);
    }
}

TEST_F(PromptRunTest, EveryMethodOfTheRegistryRunsThroughAllMeasures)
{
    std::vector<std::string> specs{"full"};
    for (const Method& method : everyMethod())
        specs.push_back(method.spec);
    PromptRunOptions options = generating(3);
    options.gold = {4, 5};
    options.repeatLastToken = true;
    expectMeasured(specs, run(specs, {0.4}, options));
}

TEST_F(PromptRunTest, EveryMethodOfTheRegistryCompressesAContextAlone)
{
    constexpr std::int64_t context = tokens - 15;
    std::vector<std::string> specs{"full"};
    for (const Method& method : everyMethod())
        specs.push_back(method.spec);
    PromptRunOptions options = generating(3);
    options.gold = {4, 5};
    options.question.assign(ids.begin() + context, ids.end());
    expectMeasured(specs, run(specs, {0.4}, options, context));
}

TEST_F(PromptRunTest, ProgressRisesToOneAndCancels)
{
    std::vector<double> seen;
    PromptRunOptions options = generating(4);
    options.gold = {4, 5};
    options.batchBytes = 1;
    options.progress = [&](double fraction) {
        seen.push_back(fraction);
        return true;
    };
    run({"full", "snapkv"}, {0.5, 0.2}, options);
    EXPECT_TRUE(std::ranges::is_sorted(seen));
    EXPECT_NEAR(seen.back(), 1.0, 1e-12);
    options.progress = [](double) { return false; };
    EXPECT_THROW(run({"full", "snapkv"}, {0.5}, options), Cancelled);
}

} // namespace
} // namespace kvloupe
