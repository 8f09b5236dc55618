// SPDX-License-Identifier: GPL-3.0-or-later

// Small random models of every architecture, held to what Hugging Face transformers computes (float32, eager
// attention).

#include "capture/checkpoint/checkpoint.h"
#include "capture/model/causal_attention.h"
#include "capture/model/forward_pass.h"
#include "capture/model/model_error.h"
#include "capture/model/model_weights.h"
#include "capture/model/transformer.h"
#include "tests/support/architecture_reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>

namespace kvloupe {
namespace {

constexpr double logitTolerance = 1e-4; // of the largest logit
constexpr double attentionTolerance = 2e-5;

double largestDifference(std::span<const float> a, std::span<const float> b)
{
    EXPECT_EQ(a.size(), b.size());
    double largest = 0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        if (!(difference <= largest)) // NaN counts
            largest = difference;
    }
    return largest;
}

double largestOf(std::span<const float> values)
{
    return std::accumulate(values.begin(), values.end(), 0.0,
        [](double most, float value) { return std::max(most, std::abs(static_cast<double>(value))); });
}

/// Largest difference over largest value.
double distance(std::span<const float> found, std::span<const float> expected)
{
    return largestDifference(found, expected) / largestOf(expected);
}

/// The attention of some queries, [layers, heads, rows, tokens].
class ChosenRows final : public AttentionObserver {
public:
    ChosenRows(const ModelConfig& config, std::span<const std::int32_t> rows, std::size_t tokens)
        : attention(static_cast<std::size_t>(config.numLayers * config.numHeads) * rows.size() * tokens)
        , m_heads(static_cast<std::size_t>(config.numHeads))
        , m_rows(rows.begin(), rows.end())
        , m_tokens(tokens)
    {
    }

    void block(int layer, int head, std::int64_t queryBegin, std::int64_t rows, std::span<const float> probabilities,
        std::int64_t stride, std::span<const RowStatistics>) override
    {
        const std::size_t map = static_cast<std::size_t>(layer) * m_heads + static_cast<std::size_t>(head);
        const std::lock_guard lock(m_mutex);
        for (std::size_t i = 0; i < m_rows.size(); ++i) {
            const std::int64_t row = m_rows[i] - queryBegin;
            if (row < 0 || row >= rows)
                continue;
            std::copy_n(probabilities.begin() + row * stride, m_rows[i] + 1,
                attention.begin() + static_cast<std::ptrdiff_t>((map * m_rows.size() + i) * m_tokens));
        }
    }

    std::vector<float> attention;

private:
    std::size_t m_heads;
    std::vector<std::int32_t> m_rows;
    std::size_t m_tokens;
    std::mutex m_mutex;
};

/// Logits after every token, [tokens, vocab].
std::vector<float> allLogits(
    const Transformer& model, std::span<const std::int32_t> ids, std::int64_t blockRows, AttentionObserver* observer)
{
    const auto tokens = std::ssize(ids);
    KvCache cache = model.makeCache(tokens);
    CausalAttention attention(model.config(), cache, blockRows, observer);
    std::vector<std::int64_t> positions(ids.size());
    std::iota(positions.begin(), positions.end(), 0);
    const std::vector<std::int64_t> textTokens(ids.size(), tokens);
    return model.run({ids, positions, textTokens}, attention, Transformer::LogitRows::All);
}

bool ropeChangesWithin(const ModelConfig& config, std::int64_t tokens)
{
    return std::ranges::any_of(config.ropes,
        [&](const RopeVariant& rope) { return rope.originalContext != 0 && tokens > rope.originalContext; });
}

class ArchitectureParity : public testing::TestWithParam<std::string> {
protected:
    void expectEqual(const std::filesystem::path& path, WeightPlacement placement)
    {
        SCOPED_TRACE(path.filename().string() + (placement == WeightPlacement::Streamed ? ", streamed" : ""));
        const auto checkpoint = Checkpoint::open(path);
        LoadOptions options;
        options.threads = 2;
        options.placement = placement;
        const auto model = Transformer::load(*checkpoint, options);
        const ModelConfig& config = model->config();
        const auto vocab = static_cast<std::size_t>(config.vocabSize);

        ChosenRows observer(config, m_case.attentionRows, m_case.ids.size());
        const std::vector<float> logits = allLogits(*model, m_case.ids, 16, &observer);
        std::vector<float> chosen;
        for (const std::int32_t row : m_case.rows)
            chosen.insert(
                chosen.end(), logits.begin() + row * config.vocabSize, logits.begin() + (row + 1) * config.vocabSize);
        const double ofLogits = distance(chosen, m_case.logits);
        const double ofAttention = largestDifference(observer.attention, m_case.attention);
        RecordProperty(path.filename().string() + " logits", std::to_string(ofLogits * 1e6));
        RecordProperty(path.filename().string() + " attention", std::to_string(ofAttention * 1e6));
        EXPECT_LE(ofLogits, logitTolerance);
        EXPECT_LE(ofAttention, attentionTolerance);

        KvCache cache = model->makeCache(0);
        const PrefillResult result = model->prefill(m_case.ids, cache);
        EXPECT_LE(distance(result.lastLogits, std::span(m_case.logits).last(vocab)), logitTolerance);
        const auto most = std::ssize(m_case.greedy);
        const std::int64_t end = std::ssize(m_case.ids) + most - 1;
        const bool crosses = std::ranges::any_of(
            config.ropes, [&](const RopeVariant& rope) { return rope.switchesBetween(std::ssize(m_case.ids), end); });
        if (crosses)
            EXPECT_THROW(model->generateGreedy(cache, result.lastLogits, most, {}), ModelError);
        else
            EXPECT_EQ(model->generateGreedy(cache, result.lastLogits, most, {}), m_case.greedy);
    }

    ArchitectureCase m_case{GetParam()};
    TemporaryFolder m_folder;
};

TEST_P(ArchitectureParity, OfLogitsAttentionAndTokensWithTransformers)
{
    expectEqual(m_case.writeFolder(m_folder), WeightPlacement::Resident);
    expectEqual(m_case.writeFolder(m_folder), WeightPlacement::Streamed);
    expectEqual(m_case.writeFolder(m_folder, true), WeightPlacement::Resident);
    if (!m_case.gguf.empty())
        expectEqual(m_case.writeGguf(m_folder), WeightPlacement::Resident);
}

TEST_P(ArchitectureParity, OfAPromptInPartsWithTheWhole)
{
    const auto model = Transformer::load(*Checkpoint::open(m_case.writeFolder(m_folder)), {.threads = 2});
    const auto tokens = std::ssize(m_case.ids);
    const std::span<const std::int32_t> ids = m_case.ids;
    const std::vector<float> whole = allLogits(*model, ids, 256, nullptr);
    const auto expected = std::span(whole).last(static_cast<std::size_t>(model->config().vocabSize));
    if (ropeChangesWithin(model->config(), tokens))
        GTEST_SKIP() << "keys depend on how long the text was when they were computed";

    KvCache twoParts = model->makeCache(0);
    model->prefill(ids.first(23), twoParts);
    EXPECT_LE(distance(model->prefill(ids.subspan(23), twoParts).lastLogits, expected), 1e-5);

    KvCache tokenByToken = model->makeCache(0);
    std::vector<float> last;
    for (const std::int32_t id : ids)
        last = model->decode(id, tokenByToken).logits;
    EXPECT_LE(distance(last, expected), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Models, ArchitectureParity, testing::ValuesIn(ArchitectureFile().members("cases")),
    [](const auto& instance) { return instance.param; });

TEST(LongRope, RefusesATextThatGrowsToWhereItChanges)
{
    const ArchitectureCase reference("phi3_longrope_crossing");
    const TemporaryFolder folder;
    const auto model = Transformer::load(*Checkpoint::open(reference.writeFolder(folder)), {.threads = 2});
    const std::span<const std::int32_t> ids = reference.ids;
    const auto generated = [&](std::int64_t most) {
        KvCache cache = model->makeCache(0);
        const PrefillResult result = model->prefill(ids, cache);
        return model->generateGreedy(cache, result.lastLogits, most, {});
    };
    // 56 tokens and 8 more fill the context of 64; the ninth is chosen from logits that still belong to it.
    EXPECT_EQ(generated(9), std::vector<std::int32_t>(reference.greedy.begin(), reference.greedy.begin() + 9));
    EXPECT_THROW(generated(10), ModelError);
}

} // namespace
} // namespace kvloupe
