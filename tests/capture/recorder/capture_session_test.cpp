// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/recorder/capture_session.h"

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/model/model_error.h"
#include "core/attention/attention_rows.h"
#include "core/recording/recording.h"
#include "core/recording/recording_writer.h"
#include "core/recording/verify.h"
#include "tests/capture/model/reference_forward.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

std::string messageOf(const std::function<void()>& action)
{
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

/// Captures from the tiny llama of tests/data: 2 layers, 4 heads, 2 KV heads of 8, vocabulary 64, context 256.
class TinyCapture : public testing::Test {
protected:
    CaptureOptions options(std::vector<int> lengths) const
    {
        CaptureOptions result;
        result.model = std::filesystem::path(KVLOUPE_TEST_DATA) / "tiny_llama";
        result.out = folder.path() / "rec.h5";
        for (const int length : lengths) {
            PromptInput& prompt = result.prompts.emplace_back();
            for (int i = 0; i < length; ++i) {
                prompt.ids.push_back((7 * i * i + 3 * i + length) % 60 + 4);
            }
        }
        return result;
    }

    static Recording record(const CaptureOptions& options)
    {
        CaptureSession(options, {}).run();
        return Recording::open(options.out);
    }

    static std::vector<std::string> problems(const Recording& recording)
    {
        VerifyOptions verify;
        verify.rowsPerHead = 64;
        return verifyRecording(recording, verify).problems;
    }

    TemporaryFolder folder;
};

TEST_F(TinyCapture, IsWholeAndAgreesWithItself)
{
    CaptureOptions full = options({200, 37});
    full.generate = 9;
    full.role = "instruct";
    const Recording recording = record(full);
    EXPECT_THAT(problems(recording), IsEmpty());
    ASSERT_EQ(recording.sampleCount(), 2);
    const SampleInfo& sample = recording.sample(0);
    EXPECT_EQ(sample.promptTokens, 200);
    EXPECT_GT(sample.totalTokens, 200);
    EXPECT_LE(sample.totalTokens, 209);
    EXPECT_EQ(sample.role, "instruct");
    EXPECT_NEAR(sample.softmaxScale, 1.0 / std::sqrt(8.0), 1e-12);
    const SampleText text = recording.readText(0);
    ASSERT_EQ(std::ssize(text.ids), sample.totalTokens);
    EXPECT_TRUE(std::equal(full.prompts[0].ids.begin(), full.prompts[0].ids.end(), text.ids.begin()));
    EXPECT_TRUE(std::isnan(text.nll[0]));
    EXPECT_TRUE(std::all_of(text.nll.begin() + 1, text.nll.end(), [](float nll) { return nll > 0; }));
    EXPECT_EQ(text.spans.back().kind, SpanKind::Generated);
    EXPECT_EQ(recording.readDecodeRow(0, 1, 3, 0).size(), index(sample.totalTokens));
}

TEST_F(TinyCapture, GivesTheSameNumbersWithAnyNumberOfThreads)
{
    CaptureOptions one = options({256});
    one.threads = 1;
    one.out = folder.path() / "one.h5";
    CaptureOptions two = options({256});
    two.threads = 2;
    const Recording a = record(one);
    const Recording b = record(two);
    for (const int layer : a.layers(0)) {
        for (const TokenArray array : {TokenArray::RowLogSumExp, TokenArray::ColumnSum, TokenArray::RowEntropy,
                 TokenArray::RowSinkMass, TokenArray::RowMax, TokenArray::KeyNorm, TokenArray::ValueNorm}) {
            EXPECT_EQ(a.read(0, layer, array), b.read(0, layer, array)) << tokenArrayName(array);
        }
        EXPECT_EQ(a.readQueryCovariance(0, layer), b.readQueryCovariance(0, layer));
        EXPECT_EQ(a.readOverview(0, layer, Pooling::Mean), b.readOverview(0, layer, Pooling::Mean));
        std::vector<Half> tileA(index(tileSize * tileSize));
        std::vector<Half> tileB(tileA.size());
        for (int head = 0; head < 4; ++head) {
            EXPECT_TRUE(a.readMapTile(0, layer, head, 0, 0, tileA));
            EXPECT_TRUE(b.readMapTile(0, layer, head, 0, 0, tileB));
            EXPECT_EQ(tileA, tileB);
        }
    }
    const std::vector<float> nllA = a.readText(0).nll;
    const std::vector<float> nllB = b.readText(0).nll;
    EXPECT_TRUE(std::equal(nllA.begin() + 1, nllA.end(), nllB.begin() + 1, nllB.end())); // the first is NaN
}

TEST_F(TinyCapture, KindsDifferInWhatTheyKeep)
{
    CaptureOptions qk = options({80});
    qk.kind = RecordKind::QueriesKeys;
    const Recording queriesKeys = record(qk);
    EXPECT_THAT(queriesKeys.layer(0, 0).mapHeads, IsEmpty());
    EXPECT_TRUE(queriesKeys.layer(0, 0).hasQueriesKeys);
    EXPECT_FALSE(queriesKeys.has(0, 0, TokenArray::RowGini));
    EXPECT_THAT(problems(queriesKeys), IsEmpty());

    CaptureOptions statistics = options({80});
    statistics.kind = RecordKind::Statistics;
    statistics.overwrite = true;
    const Recording stats = record(statistics);
    EXPECT_FALSE(stats.layer(0, 0).hasQueriesKeys);
    EXPECT_EQ(stats.layer(0, 0).tailRows, 64);
    EXPECT_TRUE(stats.has(0, 0, TokenArray::RowGini));
    EXPECT_THAT(problems(stats), IsEmpty());
    EXPECT_EQ(stats.read(0, 1, TokenArray::ColumnSum), queriesKeys.read(0, 1, TokenArray::ColumnSum));
}

TEST_F(TinyCapture, SomeLayersAndHeadsCanBeChosen)
{
    CaptureOptions some = options({60});
    some.layers = {1};
    some.mapHeads = {{1, {0, 3}}};
    const Recording recording = record(some);
    EXPECT_THAT(recording.layers(0), ElementsAre(1));
    EXPECT_THAT(recording.layer(0, 1).mapHeads, ElementsAre(0, 3));
    EXPECT_TRUE(recording.layer(0, 1).hasQueriesKeys);
    EXPECT_THAT(problems(recording), IsEmpty());
}

TEST_F(TinyCapture, ExtrasEqualTheirDefinitions)
{
    CaptureOptions extras = options({90});
    extras.rowOrder = true;
    extras.outputNorms = true;
    const Recording recording = record(extras);
    const auto checkpoint = Checkpoint::open(extras.model);
    constexpr std::int64_t tokens = 90;
    constexpr std::int64_t dim = 8;
    for (int layer = 0; layer < 2; ++layer) {
        const std::vector<float> gini = recording.read(0, layer, TokenArray::RowGini);
        const std::vector<float> mass = recording.read(0, layer, TokenArray::RowTopMass);
        const std::vector<float> norms = recording.read(0, layer, TokenArray::OutputValueNorm1);
        const std::vector<float> output
            = checkpoint->readFloat32("model.layers." + std::to_string(layer) + ".self_attn.o_proj.weight");
        for (int head = 0; head < 4; ++head) {
            std::vector<float> queries(index(tokens * dim));
            std::vector<float> keys(queries.size());
            std::vector<float> values(queries.size());
            recording.readVectors(0, layer, VectorArray::Queries, head, 0, tokens, queries);
            recording.readVectors(0, layer, VectorArray::Keys, head / 2, 0, tokens, keys);
            recording.readVectors(0, layer, VectorArray::Values, head / 2, 0, tokens, values);
            for (std::int64_t q = 0; q < tokens; ++q) {
                std::vector<double> row;
                for (std::int64_t k = 0; k <= q; ++k) {
                    row.push_back(std::exp(std::inner_product(queries.begin() + q * dim,
                                               queries.begin() + (q + 1) * dim, keys.begin() + k * dim, 0.0)
                        / std::sqrt(8.0)));
                }
                const double sum = std::accumulate(row.begin(), row.end(), 0.0);
                std::sort(row.begin(), row.end());
                double weighted = 0;
                for (std::size_t i = 0; i < row.size(); ++i) {
                    row[i] /= sum;
                    weighted += (2.0 * static_cast<double>(i + 1) - static_cast<double>(row.size()) - 1.0) * row[i];
                }
                const auto at = index(head * tokens + q);
                ASSERT_NEAR(gini[at], weighted / static_cast<double>(row.size()), 1e-5);
                for (std::size_t t = 0; t < 3; ++t) {
                    const auto top = std::min<std::int64_t>(std::array{1, 8, 64}[t], q + 1);
                    ASSERT_NEAR(mass[3 * at + t], std::accumulate(row.end() - top, row.end(), 0.0), 1e-5);
                }
                double norm = 0;
                for (std::int64_t o = 0; o < 32; ++o) {
                    norm += std::abs(std::inner_product(values.begin() + q * dim, values.begin() + (q + 1) * dim,
                        output.begin() + o * 32 + head * dim, 0.0));
                }
                ASSERT_NEAR(norms[at], norm, 1e-4 * std::max(1.0, norm));
            }
        }
    }
}

TEST_F(TinyCapture, InterruptedKeepsWhatWasFinishedAndResumes)
{
    CaptureOptions three = options({50, 60, 70});
    RunEvents events;
    events.progress = [](std::string_view stage, double) { return !stage.starts_with("sample 3"); };
    EXPECT_THROW(CaptureSession(three, events).run(), Cancelled);
    {
        const Recording partial = Recording::open(three.out);
        EXPECT_EQ(partial.sampleCount(), 2);
        EXPECT_THAT(problems(partial), IsEmpty());
    }
    three.resume = true;
    CaptureOptions other = three;
    other.prompts[1].ids[5] = 63;
    EXPECT_THAT(messageOf([&] { CaptureSession(other, {}).run(); }), HasSubstr("sample 1"));

    const CaptureSummary summary = CaptureSession(three, {}).run();
    EXPECT_EQ(summary.resumed, 2);
    EXPECT_EQ(summary.recorded, 1);
    const Recording whole = Recording::open(three.out);
    EXPECT_EQ(whole.sampleCount(), 3);
    EXPECT_THAT(problems(whole), IsEmpty());
}

TEST_F(TinyCapture, AnAdapterIsRecordedAndOnlyItIsResumedWith)
{
    CaptureOptions two = options({30, 40});
    two.adapter = Adapter::read(std::filesystem::path(KVLOUPE_TEST_DATA) / "tiny_adapters" / "plain");
    RunEvents events;
    events.progress = [](std::string_view stage, double) { return !stage.starts_with("sample 2"); };
    EXPECT_THROW(CaptureSession(two, events).run(), Cancelled);
    EXPECT_EQ(Recording::open(two.out).model().adapterSha256, two.adapter->sha256());

    two.resume = true;
    CaptureOptions without = two;
    without.adapter = nullptr;
    EXPECT_THAT(messageOf([&] { CaptureSession(without, {}).run(); }), HasSubstr("adapter_sha256"));
    CaptureOptions other = two;
    other.adapter = Adapter::read(std::filesystem::path(KVLOUPE_TEST_DATA) / "tiny_adapters" / "stabilised");
    EXPECT_THAT(messageOf([&] { CaptureSession(other, {}).run(); }), HasSubstr("adapter_sha256"));
    EXPECT_EQ(CaptureSession(two, {}).run().resumed, 1);

    // What is recorded is the adapted model.
    const float adapted = Recording::open(two.out).readText(0).nll.back();
    CaptureOptions plain = options({30, 40});
    plain.overwrite = true;
    CaptureSession(plain, {}).run();
    EXPECT_GT(std::abs(adapted - Recording::open(plain.out).readText(0).nll.back()), 0.01F);
}

TEST_F(TinyCapture, ARecordingThatExistsIsNotReplacedUnasked)
{
    CaptureOptions first = options({20});
    record(first);
    const std::string message = messageOf([&] { CaptureSession(first, {}).run(); });
    EXPECT_THAT(message, HasSubstr("rec.h5"));
    first.overwrite = true;
    EXPECT_EQ(record(first).sampleCount(), 1);
}

TEST_F(TinyCapture, WhatDoesNotFitIsRefusedBeforeAnythingIsWritten)
{
    EXPECT_THAT(messageOf([&] { CaptureSession(options({257}), {}); }),
        testing::AllOf(HasSubstr("257 tokens"), HasSubstr("holds 256")));
    EXPECT_THAT(messageOf([&] { CaptureSession(options({}), {}); }), HasSubstr("no prompt"));
    EXPECT_THAT(messageOf([&] { CaptureSession(options({0}), {}); }), HasSubstr("000000"));
    const auto changed = [&](const std::function<void(CaptureOptions&)>& change) {
        CaptureOptions result = options({10});
        change(result);
        return messageOf([&] { CaptureSession(result, {}).run(); });
    };
    EXPECT_THAT(changed([](CaptureOptions& o) { o.prompts[0].ids[3] = 64; }), HasSubstr("token id 64 at position 3"));
    EXPECT_THAT(changed([](CaptureOptions& o) { o.layers = {2}; }), HasSubstr("--layers: found 2"));
    EXPECT_THAT(changed([](CaptureOptions& o) { o.mapHeads = {{0, {4}}}; }), HasSubstr("head: found 4"));
    EXPECT_THAT(changed([](CaptureOptions& o) { o.generate = 300; }), HasSubstr("300 to generate"));
    EXPECT_THAT(changed([](CaptureOptions& o) { o.memoryLimit = 1 << 20; }), HasSubstr("--memory"));
    EXPECT_THAT(changed([](CaptureOptions& o) {
        o.prompts = {PromptInput()};
        o.prompts[0].text = "Hello";
    }),
        HasSubstr("tokenizer"));
    EXPECT_THAT(changed([](CaptureOptions& o) { o.out = "/proc/no/rec.h5"; }), HasSubstr("/proc/no"));
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "rec.h5"));
    EXPECT_FALSE(std::filesystem::exists(folder.path() / "rec.h5.parts"));
}

class CaptureOfSmolLm2 : public testing::TestWithParam<const char*> { };

/// The recorded file against what Hugging Face transformers computes for the same prompt.
TEST_P(CaptureOfSmolLm2, EqualsTransformers)
{
    KVLOUPE_SKIP_WITHOUT_TEST_MODEL();
    const ReferenceForward reference(GetParam());
    const TemporaryFolder folder;
    CaptureOptions options;
    options.model = testModelPath();
    options.out = folder.path() / "rec.h5";
    options.prompts.emplace_back().text = reference.text;
    options.generate = std::ssize(reference.greedy);
    CaptureSession(options, {}).run();

    const Recording recording = Recording::open(options.out);
    const auto tokens = std::ssize(reference.ids);
    const SampleText text = recording.readText(0);
    EXPECT_EQ(text.text.substr(0, reference.text.size()), reference.text);
    ASSERT_EQ(text.ids.size(), reference.ids.size() + reference.greedy.size());
    EXPECT_TRUE(std::equal(reference.ids.begin(), reference.ids.end(), text.ids.begin()));
    EXPECT_TRUE(std::equal(reference.greedy.begin(), reference.greedy.end(), text.ids.begin() + tokens));
    for (std::int64_t t = 1; t < tokens; ++t) {
        ASSERT_NEAR(text.nll[index(t)], reference.nll[index(t - 1)], 1e-4) << "token " << t;
    }
    const std::vector<float> logits = recording.readLastLogits(0);
    for (std::size_t i = 0; i < logits.size(); ++i) {
        ASSERT_NEAR(logits[i], reference.lastLogits[i], 1e-3);
    }

    const ModelInfo& model = recording.model();
    const auto dim = std::int64_t{model.headDim};
    std::vector<Half> tile(index(tileSize * tileSize));
    double farthest = 0;
    for (int layer = 0; layer < model.numLayers; ++layer) {
        for (int head = 0; head < model.numHeads; ++head) {
            std::vector<float> queries(index(tokens * dim));
            std::vector<float> keys(queries.size());
            recording.readVectors(0, layer, VectorArray::Queries, head, 0, tokens, queries);
            recording.readVectors(0, layer, VectorArray::Keys, head / model.groupSize(), 0, tokens, keys);
            const PackedKeys packed(keys, model.headDim);
            const std::size_t map = index(layer * model.numHeads + head);
            for (std::size_t r = 0; r < reference.rows.size(); ++r) {
                const std::int64_t query = reference.rows[r];
                const std::int64_t stride = (query + 16) / 16 * 16;
                std::vector<float> row(index(stride));
                RowStatistics statistics;
                attention_rows::softmaxRows(std::span(queries).subspan(index(query * dim), index(dim)), packed, query,
                    1, {static_cast<float>(recording.sample(0).softmaxScale), 0}, row, stride, {&statistics, 1});
                const auto expected
                    = std::span(reference.attention).subspan((map * reference.rows.size() + r) * index(tokens));
                for (std::int64_t column = 0; column <= query; column += tileSize) {
                    ASSERT_TRUE(recording.readMapTile(0, layer, head, query / tileSize, column / tileSize, tile));
                    for (std::int64_t k = column; k < std::min(column + tileSize, query + 1); ++k) {
                        farthest
                            = std::max(farthest, std::abs(static_cast<double>(row[index(k)] - expected[index(k)])));
                        ASSERT_EQ(tile[index(query % tileSize * tileSize + k - column)], floatToHalf(row[index(k)]))
                            << "layer " << layer << " head " << head << " query " << query << " key " << k;
                    }
                }
            }
        }
    }
    EXPECT_LE(farthest, 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Prompts, CaptureOfSmolLm2, testing::Values("short", "chat", "fewshot", "needle"),
    [](const auto& prompt) { return std::string(prompt.param); });

} // namespace
} // namespace kvloupe
