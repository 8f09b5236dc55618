// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/batch_decoder.h"

#include "capture/model/model_error.h"
#include "capture/tokenizer/tokenizer.h"
#include "tests/capture/cache/tiny_prompt.h"
#include "tests/support/test_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::vector<std::string> mixture{"full", "streaming_llm@paper", "h2o:variant=drop", "h2o:variant=mask",
    "h2o@paper", "tova@paper", "snapkv", "adakv", "quest:dense_layers=0", "shotkv", "expected_attention"};
const std::vector<std::string> keeps{"1", "0.5", "0.3", "0.1"};

std::vector<Branch> cutAll(const LivePrompt& live)
{
    std::vector<Branch> branches;
    for (std::size_t method = 0; method < live.methods().size(); ++method)
        for (const std::string& keep : keeps)
            branches.push_back(live.branch(method, Budget::keep(keep)));
    return branches;
}

double gap(std::span<const float> logits)
{
    std::vector<float> sorted(logits.begin(), logits.end());
    std::ranges::sort(sorted, std::greater<>());
    return static_cast<double>(sorted[0]) - static_cast<double>(sorted[1]);
}

/// Expects the batch's tokens of `branch` run alone, or a gap below 1e-4 where they part.
void expectAlone(const Transformer& model, const Branch& start, const std::vector<std::int32_t>& expected)
{
    Branch branch = start;
    std::vector<Branch*> alone{&branch};
    std::vector<float> logits(branch.promptLogits().begin(), branch.promptLogits().end());
    for (const std::int32_t token : expected) {
        const auto likeliest = std::ranges::max_element(logits) - logits.begin();
        if (likeliest != token) {
            EXPECT_LT(gap(logits), 1e-4) << branch.method().spec << " keep " << branch.budget().text();
            return;
        }
        logits = BatchDecoder(onCpu(model)).step(alone, std::span(&token, 1));
    }
}

TEST(BatchDecoder, ABatchGivesTheTokensOfEachBranchAlone)
{
    const auto model = tinyModel();
    const LivePrompt live(onCpu(*model), tinyIds(180), tinyLayout(180), methodsOf(mixture));
    const std::vector<Branch> start = cutAll(live);
    std::vector<Branch> branches = start;
    const auto generated = BatchDecoder(onCpu(*model)).generateGreedy(pointersTo(branches), {.maxTokens = 40});
    for (std::size_t b = 0; b < start.size(); ++b) {
        ASSERT_EQ(generated[b].ids.size(), 40U);
        expectAlone(*model, start[b], generated[b].ids);
        EXPECT_LE(generated[b].meanTokens, 180 + 20.0);
    }
}

TEST(BatchDecoder, DoesNotDependOnThreads)
{
    const auto run = [](int threads) {
        const auto model = tinyModel(threads);
        const LivePrompt live(onCpu(*model), tinyIds(180), tinyLayout(180), methodsOf(mixture));
        std::vector<Branch> branches = cutAll(live);
        std::vector<float> logits;
        for (std::int32_t step = 0; step < 10; ++step)
            logits = BatchDecoder(onCpu(*model))
                         .step(pointersTo(branches), std::vector<std::int32_t>(branches.size(), 4 + step));
        return logits;
    };
    EXPECT_EQ(run(1), run(2));
}

TEST(BatchDecoder, BranchesThatAreDoneLeaveTheBatch)
{
    const auto model = tinyModel();
    const LivePrompt live(onCpu(*model), tinyIds(100), PromptLayout(100), {parseMethod("full"), parseMethod("snapkv")});
    std::vector<Branch> branches;
    for (int i = 0; i < 4; ++i)
        branches.push_back(live.branch(i == 3 ? 1 : 0, Budget::keep("0.5")));
    std::vector<std::int32_t> whole
        = BatchDecoder(onCpu(*model)).generateGreedy(pointersTo(branches), {.maxTokens = 12}).front().ids;
    ASSERT_EQ(whole.size(), 12U);

    branches.assign(4, live.branch(0, Budget::keep("1")));
    BatchDecoder::GenerateOptions options;
    options.maxTokensOf = {0, 1, 12, 12};
    options.eosIds = {whole[5]};
    options.onToken = [&](std::size_t branch, std::int32_t id) {
        EXPECT_TRUE(branch > 0);
        return branch != 3 || id != whole[2];
    };
    const auto generated = BatchDecoder(onCpu(*model)).generateGreedy(pointersTo(branches), options);
    const auto firstOf = [&](std::int32_t id) { return std::ranges::find(whole, id) - whole.begin() + 1; };
    EXPECT_THAT(generated[0].ids, IsEmpty());
    EXPECT_THAT(generated[1].ids, ElementsAre(whole[0]));
    EXPECT_EQ(std::ssize(generated[2].ids), firstOf(whole[5]));
    EXPECT_EQ(std::ssize(generated[3].ids), std::min(firstOf(whole[2]), firstOf(whole[5])));
    EXPECT_EQ(branches[0].position(), 100);
    EXPECT_EQ(branches[1].position(), 100);
    EXPECT_EQ(branches[2].position(), 99 + firstOf(whole[5])); // the last token is not taken up
    EXPECT_EQ(generated[1].meanTokens, 0.0);
}

TEST(BatchDecoder, ScoresGivenTokensAsThePlainRunDoes)
{
    const auto model = tinyModel();
    const std::vector<std::int32_t> ids = tinyIds(120);
    const LivePrompt live(onCpu(*model), ids, PromptLayout(120), {parseMethod("full"), parseMethod("snapkv:window=8")});
    const std::vector<std::int32_t> tokens = tinyIds(25, 3);
    std::vector<Branch> branches{live.branch(1, Budget::keep("0.2")), live.branch(0, Budget::keep("1"))};
    std::vector<Branch> copies = branches;
    const BatchDecoder decoder(onCpu(*model));
    const std::vector<std::vector<std::int32_t>> given(2, tokens);
    const auto forced = decoder.score(pointersTo(branches), given, 1);

    // The plain run, token by token, and its distributions in double.
    KvCache cache = model->makeCache(0);
    std::vector<float> logits = model->prefill(ids, cache).lastLogits;
    std::vector<float> compressed(live.logits().begin(), live.logits().end());
    const auto logProbs = [](const std::vector<float>& row) {
        double sum = 0;
        for (const float logit : row)
            sum += std::exp(static_cast<double>(logit));
        std::vector<double> result;
        for (const float logit : row)
            result.push_back(static_cast<double>(logit) - std::log(sum));
        return result;
    };
    std::vector<Branch*> snap{&copies[0]};
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const std::vector<double> full = logProbs(logits);
        const std::vector<double> cut = logProbs(compressed);
        EXPECT_NEAR(forced[1].logProbs[i], full[static_cast<std::size_t>(tokens[i])], 1e-4);
        EXPECT_NEAR(forced[0].logProbs[i], cut[static_cast<std::size_t>(tokens[i])], 1e-4);
        double divergence = 0;
        for (std::size_t id = 0; id < full.size(); ++id)
            divergence += std::exp(full[id]) * (full[id] - cut[id]);
        EXPECT_NEAR(forced[0].divergence[i], divergence, 1e-4);
        EXPECT_EQ(forced[1].divergence[i], 0.0F);
        logits = model->decode(tokens[i], cache).logits;
        compressed = decoder.step(snap, std::span(&tokens[i], 1));
    }
    ASSERT_EQ(forced[0].logProbs.size(), tokens.size());
    EXPECT_EQ(forced[0].divergence.front(), 0.0F); // the first token comes from the full prefill
    EXPECT_GT(*std::ranges::max_element(forced[0].divergence), 1e-3F);
    EXPECT_DOUBLE_EQ(forced[1].meanTokens, 120 + 11.5);
    EXPECT_DOUBLE_EQ(forced[0].meanTokens, 24 + 11.5);

    branches = {live.branch(1, Budget::keep("0.2")), live.branch(0, Budget::keep("1"))};
    const auto ragged = decoder.score(pointersTo(branches), std::vector<std::vector<std::int32_t>>{{5, 6, 7}, {5}});
    EXPECT_EQ(ragged[0].logProbs.size(), 3U);
    EXPECT_EQ(ragged[1].logProbs.size(), 1U);
    EXPECT_THAT(ragged[0].divergence, IsEmpty());
    EXPECT_EQ(branches[1].position(), 120);
}

TEST(BatchDecoder, RefusesWhatCannotBeRun)
{
    const auto model = tinyModel();
    const LivePrompt live(onCpu(*model), tinyIds(254), PromptLayout(254), {parseMethod("full")});
    std::vector<Branch> branches{live.branch(0, Budget::keep("1"))};
    const BatchDecoder decoder(onCpu(*model));
    const auto step = [&](std::vector<std::int32_t> ids) { decoder.step(pointersTo(branches), ids); };
    EXPECT_THROW(step({64}), ModelError); // outside the vocabulary
    EXPECT_THROW(step({-1}), ModelError);
    EXPECT_THROW(step({1, 2}), ModelError); // two tokens for one branch
    EXPECT_THROW(decoder.score(pointersTo(branches), std::vector<std::vector<std::int32_t>>{{5, 99}}), ModelError);
    EXPECT_THROW(decoder.score(pointersTo(branches), {}), ModelError);
    step({5});
    step({6});
    EXPECT_THROW(step({7}), ModelError); // the context of 256 tokens is full
    EXPECT_EQ(branches[0].position(), 256);
    EXPECT_EQ(decoder.step({}, {}).size(), 0U);

    std::vector<Branch> again{live.branch(0, Budget::keep("1"))};
    BatchDecoder::GenerateOptions options;
    options.maxTokens = 2;
    options.progress = [](double) { return false; };
    EXPECT_THROW(decoder.generateGreedy(pointersTo(again), options), Cancelled);
}

TEST(BatchDecoder, RunsBranchesOfARealModel)
{
    KVLOUPE_SKIP_WITHOUT_TEST_MODEL();
    const auto model = Transformer::load(*Checkpoint::open(testModelPath()));
    const auto tokenizer = Tokenizer::open(testModelPath());
    const std::vector<std::int32_t> ids
        = tokenizer
              ->encode("The capital of France is Paris. The capital of Italy is Rome. The capital of Spain is "
                       "Madrid. The capital of Germany is Berlin. The capital of Austria is Vienna. The capital "
                       "of Japan is")
              .ids;
    const LivePrompt live(onCpu(*model), ids, PromptLayout(std::ssize(ids)),
        methodsOf(std::vector<std::string>{
            "full", "snapkv:window=8", "h2o:variant=drop", "adakv:scorer.window=8", "streaming_llm@paper"}));
    std::vector<Branch> branches;
    for (std::size_t method = 0; method < 5; ++method)
        branches.push_back(live.branch(method, Budget::keep("0.6")));
    branches.push_back(live.branch(1, Budget::keep("1")));
    const std::vector<Branch> start = branches;
    const auto generated = BatchDecoder(onCpu(*model)).generateGreedy(pointersTo(branches), {.maxTokens = 16});

    KvCache cache = model->makeCache(0);
    const PrefillResult prefill = model->prefill(ids, cache);
    const std::vector<std::int32_t> plain = model->generateGreedy(cache, prefill.lastLogits, 16, {});
    EXPECT_EQ(generated[0].ids, plain);
    EXPECT_EQ(generated[5].ids, plain);
    EXPECT_THAT(tokenizer->decode(plain), testing::HasSubstr("Tokyo"));
    for (std::size_t b = 0; b < start.size(); ++b)
        expectAlone(*model, start[b], generated[b].ids);
}

} // namespace
} // namespace kvloupe
