// SPDX-License-Identifier: GPL-3.0-or-later

// SmolLM2-135M-Instruct held to what Hugging Face transformers computes, and to itself.

#include "capture/checkpoint/checkpoint.h"
#include "capture/model/model_error.h"
#include "capture/model/transformer.h"
#include "tests/capture/model/reference_forward.h"
#include "tests/support/test_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <mutex>

namespace kvloupe {
namespace {

/// Loaded once per program and number of threads.
const Transformer& smollm2(int threads = 2)
{
    static std::array<std::unique_ptr<Transformer>, 3> models;
    std::unique_ptr<Transformer>& model = models[static_cast<std::size_t>(threads)];
    if (model == nullptr)
        model = Transformer::load(*Checkpoint::open(testModelPath()), {threads, {}});
    return *model;
}

float largestDifference(std::span<const float> a, std::span<const float> b)
{
    EXPECT_EQ(a.size(), b.size());
    float largest = 0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        const float difference = std::abs(a[i] - b[i]);
        if (!(difference <= largest)) // NaN counts
            largest = difference;
    }
    return largest;
}

std::span<const float> withoutFirst(std::span<const float> values)
{
    return values.subspan(1);
}

/// Compares the rows of a reference with those of the pass it watches; checks that all rows and only those come.
class ComparingObserver final : public AttentionObserver {
public:
    ComparingObserver(const ReferenceForward& reference, const ModelConfig& config)
        : m_reference(reference)
        , m_heads(static_cast<std::size_t>(config.numHeads))
        , m_seen(static_cast<std::size_t>(config.numLayers * config.numHeads) * reference.ids.size())
    {
    }

    void block(int layer, int head, std::int64_t queryBegin, std::int64_t rows, std::span<const float> probabilities,
        std::int64_t stride, std::span<const RowStatistics> statistics) override
    {
        const std::size_t n = m_reference.ids.size();
        const std::size_t map = static_cast<std::size_t>(layer) * m_heads + static_cast<std::size_t>(head);
        const std::lock_guard lock(m_mutex);
        ASSERT_EQ(std::ssize(statistics), rows);
        for (std::int64_t query = queryBegin; query < queryBegin + rows; ++query) {
            ++m_seen[map * n + static_cast<std::size_t>(query)];
            const auto found = std::lower_bound(m_reference.rows.begin(), m_reference.rows.end(), query);
            if (found == m_reference.rows.end() || *found != query)
                continue;
            const auto row = static_cast<std::size_t>(found - m_reference.rows.begin());
            const auto ours = probabilities.subspan(
                static_cast<std::size_t>((query - queryBegin) * stride), static_cast<std::size_t>(queryBegin + rows));
            const auto theirs = std::span(m_reference.attention).subspan((map * m_reference.rows.size() + row) * n, n);
            largest = std::max(largest, largestDifference(ours, theirs.first(ours.size())));
        }
    }

    bool sawEveryRowOnce() const
    {
        return std::all_of(m_seen.begin(), m_seen.end(), [](int times) { return times == 1; });
    }

    float largest = 0;

private:
    const ReferenceForward& m_reference;
    std::size_t m_heads;
    std::vector<int> m_seen;
    std::mutex m_mutex;
};

class SmolLm2 : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override { KVLOUPE_SKIP_WITHOUT_TEST_MODEL(); }
};

TEST_P(SmolLm2, AgreesWithTransformers)
{
    const ReferenceForward reference(GetParam());
    const Transformer& model = smollm2();
    KvCache cache = model.makeCache(std::ssize(reference.ids));
    ComparingObserver observer(reference, model.config());
    const PrefillResult result = model.prefill(reference.ids, cache, {}, &observer);

    const float logits = largestDifference(result.lastLogits, reference.lastLogits);
    const float nll = largestDifference(withoutFirst(result.nll), reference.nll);
    RecordProperty("logits", std::to_string(logits));
    RecordProperty("attention", std::to_string(observer.largest));
    RecordProperty("nll", std::to_string(nll));
    EXPECT_LE(logits, 1e-3F);
    EXPECT_LE(observer.largest, 2e-5F);
    EXPECT_TRUE(observer.sawEveryRowOnce());
    EXPECT_TRUE(std::isnan(result.nll.front()));
    EXPECT_LE(nll, 1e-4F);
}

TEST_P(SmolLm2, ChoosesTheTokensThatTransformersChooses)
{
    const ReferenceForward reference(GetParam());
    const Transformer& model = smollm2();
    KvCache cache = model.makeCache(std::ssize(reference.ids) + std::ssize(reference.greedy));
    const PrefillResult result = model.prefill(reference.ids, cache, {.positionLogits = false});
    EXPECT_THAT(result.nll, testing::IsEmpty());
    EXPECT_EQ(model.generateGreedy(cache, result.lastLogits, 32, model.config().eosIds), reference.greedy);
}

INSTANTIATE_TEST_SUITE_P(Prompts, SmolLm2, testing::Values("short", "chat", "fewshot", "needle"),
    [](const auto& instance) { return std::string(instance.param); });

class SmolLm2Itself : public testing::Test {
protected:
    void SetUp() override { KVLOUPE_SKIP_WITHOUT_TEST_MODEL(); }
};

TEST_F(SmolLm2Itself, GivesTheSameLogitsForEveryBlockSize)
{
    const ReferenceForward reference("fewshot");
    const Transformer& model = smollm2();
    std::vector<std::vector<float>> logits;
    for (const std::int64_t blockRows : {256, 64, 37, 1000}) {
        KvCache cache = model.makeCache(0);
        logits.push_back(model.prefill(reference.ids, cache, {.blockRows = blockRows}).lastLogits);
    }
    const float scale = std::abs(*std::ranges::max_element(logits.front(), {}, [](float x) { return std::abs(x); }));
    for (const auto& other : logits)
        EXPECT_LE(largestDifference(other, logits.front()), 1e-5F * scale);
}

TEST_F(SmolLm2Itself, GivesTheSameBitsForOneThreadAndTwo)
{
    const ReferenceForward reference("needle");
    KvCache one = smollm2(1).makeCache(0);
    KvCache two = smollm2(2).makeCache(0);
    const PrefillResult a = smollm2(1).prefill(reference.ids, one);
    const PrefillResult b = smollm2(2).prefill(reference.ids, two);
    EXPECT_EQ(a.lastLogits, b.lastLogits);
    EXPECT_EQ(largestDifference(withoutFirst(a.nll), withoutFirst(b.nll)), 0.0F);
    EXPECT_EQ(a.topIds, b.topIds);
    EXPECT_EQ(a.topLogprobs, b.topLogprobs);
    EXPECT_TRUE(std::ranges::equal(one.keys(29, 2), two.keys(29, 2)));
    EXPECT_EQ(smollm2(1).decode(7, one).logits, smollm2(2).decode(7, two).logits);
}

TEST_F(SmolLm2Itself, ContinuesACacheAsIfThePromptHadComeAtOnce)
{
    const ReferenceForward reference("fewshot");
    const Transformer& model = smollm2();
    KvCache whole = model.makeCache(0);
    const PrefillResult expected = model.prefill(reference.ids, whole);

    KvCache cache = model.makeCache(0);
    const std::span<const std::int32_t> ids = reference.ids;
    const PrefillResult first = model.prefill(ids.first(100), cache);
    ComparingObserver observer(reference, model.config());
    const PrefillResult second = model.prefill(ids.subspan(100), cache, {.blockRows = 64}, &observer);

    EXPECT_EQ(cache.nextPosition(), std::ssize(ids));
    EXPECT_LE(largestDifference(second.lastLogits, reference.lastLogits), 1e-3F);
    EXPECT_LE(observer.largest, 2e-5F);
    std::vector<float> nll = first.nll;
    nll.insert(nll.end(), second.nll.begin(), second.nll.end());
    EXPECT_LE(largestDifference(withoutFirst(nll), withoutFirst(expected.nll)), 1e-4F);
    EXPECT_LE(largestDifference(cache.keys(29, 1), whole.keys(29, 1)), 1e-3F);
}

TEST_F(SmolLm2Itself, DecodesWhatAPrefillComputes)
{
    const ReferenceForward reference("chat");
    const Transformer& model = smollm2();
    KvCache whole = model.makeCache(0);
    const PrefillResult expected = model.prefill(reference.ids, whole);

    KvCache cache = model.makeCache(0);
    for (std::size_t i = 0; i < reference.ids.size(); ++i) {
        ComparingObserver observer(reference, model.config());
        const DecodeResult step = model.decode(reference.ids[i], cache, &observer);
        EXPECT_LE(observer.largest, 2e-5F);
        EXPECT_EQ(step.topIds.front(), expected.topIds[i * 5]);
        EXPECT_NEAR(step.topLogprobs.front(), expected.topLogprobs[i * 5], 1e-4);
        if (i == 0) {
            EXPECT_TRUE(std::isnan(step.nll));
        } else {
            EXPECT_NEAR(step.nll, expected.nll[i], 1e-4);
        }
        if (i + 1 == reference.ids.size()) {
            EXPECT_LE(largestDifference(step.logits, expected.lastLogits), 1e-3F);
        }
    }
}

TEST_F(SmolLm2Itself, SaysHowLongAPromptMayBe)
{
    const Transformer& model = smollm2();
    KvCache cache = model.makeCache(0);
    const std::vector<std::int32_t> ids(8193, 1);
    try {
        model.prefill(ids, cache);
        FAIL() << "a prompt beyond the context was taken";
    } catch (const ModelError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("8193"));
        EXPECT_THAT(error.what(), testing::HasSubstr("8192"));
    }
}

} // namespace
} // namespace kvloupe
