// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/transformer.h"

#include "capture/checkpoint/checkpoint.h"
#include "capture/model/model_error.h"
#include "tests/capture/model/tiny_llama.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <set>

namespace kvloupe {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::unique_ptr<Transformer> load(const TinyLlama& llama, int threads = 2)
{
    const TemporaryFolder folder;
    llama.write(folder);
    return Transformer::load(*Checkpoint::open(folder.path()), {threads, {}});
}

std::vector<std::int32_t> someIds(std::size_t size)
{
    std::vector<std::int32_t> ids(size);
    for (std::size_t i = 0; i < size; ++i)
        ids[i] = static_cast<std::int32_t>(i * i * 7 % TinyLlama::vocabulary);
    return ids;
}

double logSumExp(const std::vector<double>& logits)
{
    return std::log(std::accumulate(
        logits.begin(), logits.end(), 0.0, [](double sum, double logit) { return sum + std::exp(logit); }));
}

/// Keeps everything it is shown.
class KeepingObserver final : public AttentionObserver {
public:
    explicit KeepingObserver(std::size_t tokens)
        : maps(TinyLlama::layers * TinyLlama::heads, std::vector<float>(tokens * tokens, -1.0F))
        , m_tokens(tokens)
    {
    }

    bool wantsQueriesBeforeRope(int layer) const override { return layer == 1; }

    void beginLayer(const LayerVectors& vectors) override
    {
        begun.push_back(vectors.layer);
        tokenBegins.push_back(vectors.tokenBegin);
        queries.assign(vectors.queries.begin(), vectors.queries.end());
        keys.assign(vectors.keys.begin(), vectors.keys.end());
        values.assign(vectors.values.begin(), vectors.values.end());
        before.assign(vectors.queriesBeforeRope.begin(), vectors.queriesBeforeRope.end());
        beforeSizes.push_back(before.size());
    }

    void block(int layer, int head, std::int64_t queryBegin, std::int64_t rows, std::span<const float> probabilities,
        std::int64_t stride, std::span<const RowStatistics>) override
    {
        const std::lock_guard lock(m_mutex);
        blockBegins.push_back(queryBegin);
        auto& map = maps[static_cast<std::size_t>(layer * TinyLlama::heads + head)];
        for (std::int64_t r = 0; r < rows; ++r) {
            for (std::int64_t key = 0; key < queryBegin + rows; ++key)
                map[static_cast<std::size_t>(queryBegin + r) * m_tokens + static_cast<std::size_t>(key)]
                    = probabilities[static_cast<std::size_t>(r * stride + key)];
        }
    }

    void endLayer(int layer) override { ended.push_back(layer); }

    std::vector<std::vector<float>> maps; // [layers * heads] of [n, n]
    std::vector<int> begun;
    std::vector<int> ended;
    std::vector<std::int64_t> tokenBegins;
    std::vector<std::int64_t> blockBegins;
    std::vector<std::size_t> beforeSizes;
    std::vector<float> queries; // of the last layer
    std::vector<float> keys;
    std::vector<float> values;
    std::vector<float> before;

private:
    std::size_t m_tokens;
    std::mutex m_mutex;
};

class TinyTransformer : public testing::TestWithParam<TinyLlama::Options> { };

TEST_P(TinyTransformer, EqualsTheFormulasInDouble)
{
    const TinyLlama llama(GetParam());
    const auto model = load(llama);
    const std::vector<std::int32_t> ids = someIds(45);
    const TinyLlama::Forward expected = llama.forward(ids);

    KvCache cache = model->makeCache(0);
    KeepingObserver observer(ids.size());
    const PrefillResult result = model->prefill(ids, cache, {.blockRows = 16}, &observer);

    for (std::size_t i = 0; i < result.lastLogits.size(); ++i)
        EXPECT_NEAR(result.lastLogits[i], expected.logits.back()[i], 2e-4);
    ASSERT_EQ(result.nll.size(), ids.size());
    ASSERT_EQ(result.topLogprobs.size(), ids.size() * 5);
    for (std::size_t t = 0; t < ids.size(); ++t) {
        const std::vector<double>& logits = expected.logits[t];
        const double total = logSumExp(logits);
        const std::int32_t best = result.topIds[t * 5];
        EXPECT_EQ(best, std::max_element(logits.begin(), logits.end()) - logits.begin());
        for (std::size_t c = 0; c < 5; ++c) {
            const auto id = static_cast<std::size_t>(result.topIds[t * 5 + c]);
            EXPECT_NEAR(result.topLogprobs[t * 5 + c], logits[id] - total, 2e-4);
        }
        if (t + 1 < ids.size()) {
            EXPECT_NEAR(result.nll[t + 1], total - logits[static_cast<std::size_t>(ids[t + 1])], 2e-4);
        }
    }
    for (std::size_t map = 0; map < observer.maps.size(); ++map) {
        for (std::size_t q = 0; q < ids.size(); ++q) {
            for (std::size_t k = 0; k <= q; ++k)
                ASSERT_NEAR(observer.maps[map][q * ids.size() + k], expected.attention[map][q][k], 1e-5)
                    << "map " << map << ", query " << q << ", key " << k;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Variants, TinyTransformer,
    testing::Values(TinyLlama::Options{true, false}, TinyLlama::Options{false, false}, TinyLlama::Options{true, true}),
    [](const auto& instance) {
        return std::string(instance.param.tied ? "Tied" : "Untied") + (instance.param.biases ? "WithBiases" : "");
    });

TEST(Transformer, ShowsAnObserverTheLayersInOrderAndTheVectorsItAskedFor)
{
    const auto model = load(TinyLlama({}));
    const std::vector<std::int32_t> ids = someIds(20);
    KvCache cache = model->makeCache(20);
    KeepingObserver observer(20);
    model->prefill(std::span(ids).first(7), cache, {.blockRows = 4}, &observer);
    EXPECT_THAT(observer.begun, ElementsAre(0, 1));
    EXPECT_THAT(observer.ended, ElementsAre(0, 1));
    EXPECT_THAT(observer.tokenBegins, ElementsAre(0, 0));
    EXPECT_THAT(observer.beforeSizes, ElementsAre(0, 7 * TinyLlama::heads * TinyLlama::headDim));
    EXPECT_THAT(std::set(observer.blockBegins.begin(), observer.blockBegins.end()), ElementsAre(0, 4));

    // Position 0 is not turned, position 1 is.
    const auto first = std::span(observer.queries).first(TinyLlama::headDim);
    EXPECT_TRUE(std::ranges::equal(first, std::span(observer.before).first(TinyLlama::headDim)));
    EXPECT_NE(observer.queries[TinyLlama::headDim], observer.before[TinyLlama::headDim]);

    for (int head = 0; head < TinyLlama::kvHeads; ++head) {
        const std::size_t size = 7 * TinyLlama::headDim;
        const auto begin = static_cast<std::size_t>(head) * size;
        EXPECT_TRUE(std::ranges::equal(cache.keys(1, head), std::span(observer.keys).subspan(begin, size)));
        EXPECT_TRUE(std::ranges::equal(cache.values(1, head), std::span(observer.values).subspan(begin, size)));
    }

    KeepingObserver later(20);
    model->prefill(std::span(ids).subspan(7), cache, {.blockRows = 4}, &later);
    EXPECT_THAT(later.tokenBegins, ElementsAre(7, 7));
    EXPECT_THAT(std::set(later.blockBegins.begin(), later.blockBegins.end()), ElementsAre(7, 8, 12, 16));
}

TEST(Transformer, DecodesTokenByTokenWhatOnePrefillGives)
{
    const TinyLlama llama({});
    const auto model = load(llama);
    const std::vector<std::int32_t> ids = someIds(30);
    const TinyLlama::Forward expected = llama.forward(ids);
    KvCache cache = model->makeCache(0);
    KeepingObserver observer(ids.size());
    for (std::size_t t = 0; t < ids.size(); ++t) {
        const DecodeResult step = model->decode(ids[t], cache, &observer);
        for (std::size_t i = 0; i < step.logits.size(); ++i)
            ASSERT_NEAR(step.logits[i], expected.logits[t][i], 2e-4) << "token " << t;
        if (t > 0) {
            EXPECT_NEAR(step.nll,
                logSumExp(expected.logits[t - 1]) - expected.logits[t - 1][static_cast<std::size_t>(ids[t])], 2e-4);
        }
    }
    EXPECT_NEAR(observer.maps[5][29 * 30 + 11], expected.attention[5][29][11], 1e-5);
}

TEST(Transformer, GeneratesUntilAnEndTokenOrTheLimitOrUntilToldToStop)
{
    const TinyLlama llama({});
    const auto model = load(llama);
    std::vector<std::int32_t> text = someIds(5);
    std::vector<std::int32_t> expected;
    for (int i = 0; i < 8; ++i) {
        const auto logits = llama.forward(text).logits.back();
        expected.push_back(static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
        text.push_back(expected.back());
    }
    const auto generate = [&](std::int64_t limit, std::vector<std::int32_t> ends, std::size_t stopAfter) {
        KvCache cache = model->makeCache(0);
        const PrefillResult prompt = model->prefill(someIds(5), cache);
        std::size_t seen = 0;
        const auto tokens = model->generateGreedy(
            cache, prompt.lastLogits, limit, ends, [&](std::int32_t) { return ++seen < stopAfter; });
        EXPECT_EQ(seen, tokens.size());
        EXPECT_EQ(cache.nextPosition(), 5 + std::max<std::int64_t>(0, std::ssize(tokens) - 1));
        return tokens;
    };
    const auto upTo = [&](std::size_t size) {
        return std::vector(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(size));
    };
    EXPECT_EQ(generate(8, {}, 100), expected);
    EXPECT_EQ(generate(3, {}, 100), upTo(3));
    EXPECT_EQ(generate(0, {}, 100), upTo(0));
    EXPECT_EQ(generate(8, {}, 2), upTo(2));
    const auto firstEnd = std::find(expected.begin(), expected.end(), expected[4]) - expected.begin() + 1;
    EXPECT_EQ(generate(8, {expected[4]}, 100), upTo(static_cast<std::size_t>(firstEnd)));
}

TEST(Transformer, RefusesPromptsThatCannotBeRun)
{
    const auto model = load(TinyLlama({}));
    KvCache cache = model->makeCache(0);
    const auto run = [&](const std::vector<std::int32_t>& ids) { return [&, ids] { model->prefill(ids, cache); }; };
    EXPECT_THAT(run({}), ThrowsMessage<ModelError>(HasSubstr("no tokens")));
    EXPECT_THAT(
        run({1, 2, 61}), ThrowsMessage<ModelError>(AllOf(HasSubstr("token 2"), HasSubstr("61"), HasSubstr("0 to 60"))));
    EXPECT_THAT(run({1, -1}), ThrowsMessage<ModelError>(AllOf(HasSubstr("token 1"), HasSubstr("-1"))));
    EXPECT_THAT(
        run(std::vector<std::int32_t>(97, 1)), ThrowsMessage<ModelError>(AllOf(HasSubstr("97"), HasSubstr("96"))));
    EXPECT_THAT([&] { model->prefill(someIds(3), cache, {.blockRows = 0}); },
        ThrowsMessage<ModelError>(HasSubstr("block rows")));
    EXPECT_EQ(cache.size(), 0);

    model->prefill(std::vector<std::int32_t>(96, 1), cache);
    EXPECT_THAT([&] { model->decode(1, cache); }, ThrowsMessage<ModelError>(HasSubstr("97")));
    EXPECT_EQ(cache.size(), 96);
}

TEST(Transformer, SaysInWhichLayerNumbersBrokeDown)
{
    TinyLlama llama({});
    llama.tensor("model.layers.1.self_attn.v_proj.weight")[3] = 1e30F;
    const auto model = load(llama);
    KvCache cache = model->makeCache(0);
    EXPECT_THAT([&] { model->prefill(someIds(4), cache); }, ThrowsMessage<ModelError>(HasSubstr("in layer 1")));
    EXPECT_EQ(cache.size(), 0) << "a failed pass leaves nothing in the cache";
    EXPECT_EQ(cache.size(0, 1), 0);

    TinyLlama broken({.tied = false});
    std::ranges::fill(broken.tensor("lm_head.weight"), 3e38F);
    const auto brokenModel = load(broken);
    KvCache other = brokenModel->makeCache(0);
    EXPECT_THAT([&] { brokenModel->prefill(someIds(4), other); }, ThrowsMessage<ModelError>(HasSubstr("logits")));
}

TEST(Transformer, StopsWhenProgressSaysSoAndLeavesTheCacheAsItWas)
{
    const TinyLlama llama({});
    const auto model = load(llama);
    KvCache cache = model->makeCache(0);
    model->prefill(someIds(6), cache);
    const std::vector<float> keys(cache.keys(0, 0).begin(), cache.keys(0, 0).end());
    const PrefillOptions cancelled{.progress = [](double) { return false; }};
    EXPECT_THROW(model->prefill(someIds(9), cache, cancelled), Cancelled);
    EXPECT_EQ(cache.nextPosition(), 6);
    EXPECT_TRUE(std::ranges::equal(cache.keys(0, 0), keys));

    KvCache untouched = model->makeCache(0);
    model->prefill(someIds(6), untouched);
    EXPECT_EQ(model->decode(5, cache).logits, model->decode(5, untouched).logits);

    const TemporaryFolder folder;
    llama.write(folder);
    EXPECT_THROW(Transformer::load(*Checkpoint::open(folder.path()), {1, [](double) { return false; }}), Cancelled);
}

TEST(Transformer, ThrowsWhatAnObserverThrows)
{
    class FailingObserver final : public AttentionObserver {
        void block(int layer, int, std::int64_t, std::int64_t, std::span<const float>, std::int64_t,
            std::span<const RowStatistics>) override
        {
            if (layer == 1)
                throw Error("the disk is full");
        }
    };
    const auto model = load(TinyLlama({}));
    KvCache cache = model->makeCache(0);
    FailingObserver observer;
    EXPECT_THAT([&] { model->prefill(someIds(50), cache, {.blockRows = 8}, &observer); },
        ThrowsMessage<Error>(HasSubstr("the disk is full")));
    EXPECT_EQ(cache.size(), 0);
}

TEST(Transformer, ReportsProgressThatOnlyGrowsAndEndsAtOne)
{
    const auto model = load(TinyLlama({}));
    KvCache cache = model->makeCache(0);
    std::vector<double> seen;
    model->prefill(someIds(40), cache, {.progress = [&](double fraction) {
        seen.push_back(fraction);
        return true;
    }});
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    EXPECT_EQ(seen.back(), 1.0);
}

} // namespace
} // namespace kvloupe
