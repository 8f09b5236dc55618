// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/recorder/capture_session.h"
#include "core/methods/method_registry.h"
#include "core/recording/recording.h"
#include "core/replay/replay.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace kvloupe {
namespace {

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// The same checkpoint and prompts through our forward pass and through transformers (scripts/record_transformers.py;
/// tests/data/make_transformers_recordings.py). Weights are large, so logits are too: up to 230.
class TransformersRecording : public testing::Test {
protected:
    TransformersRecording()
    {
        const std::filesystem::path data = KVLOUPE_TEST_DATA;
        CaptureOptions options;
        options.model = data / "tiny_llama";
        options.out = m_folder.path() / "ours.h5";
        options.kind = RecordKind::Full;
        options.generate = 12;
        options.rowOrder = true;
        options.outputNorms = true;
        for (const int length : {150, 20}) {
            PromptInput& prompt = options.prompts.emplace_back();
            for (int i = 0; i < length; ++i) {
                prompt.ids.push_back((7 * i * i + 3 * i + length) % 60 + 4);
            }
        }
        CaptureSession(options, {}).run();
        ours.emplace(Recording::open(options.out));
        theirs.emplace(Recording::open(data / "transformers_llama.h5"));
    }

    void forEachLayer(const std::function<void(int sample, int layer)>& visit) const
    {
        for (int sample = 0; sample < ours->sampleCount(); ++sample) {
            for (const int layer : ours->layers(sample)) {
                visit(sample, layer);
            }
        }
    }

    /// Largest difference relative to the largest number; 1 if there is not the same count of them.
    static double difference(const std::vector<float>& a, const std::vector<float>& b)
    {
        if (a.size() != b.size() || a.empty()) {
            return 1.0;
        }
        double largest = 0.0;
        double difference = 0.0;
        for (std::size_t i = 0; i < a.size(); ++i) {
            if (std::isnan(a[i]) != std::isnan(b[i])) {
                return 1.0;
            }
            if (!std::isnan(a[i])) {
                largest = std::max(largest, std::abs(static_cast<double>(a[i])));
                difference = std::max(difference, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
            }
        }
        return difference / largest;
    }

    TemporaryFolder m_folder;
    std::optional<Recording> ours;
    std::optional<Recording> theirs;
};

TEST_F(TransformersRecording, IsOfTheSameModelAndText)
{
    EXPECT_EQ(theirs->model().fileSha256, ours->model().fileSha256);
    EXPECT_EQ(theirs->model().maxPositions, ours->model().maxPositions);
    ASSERT_EQ(theirs->sampleCount(), ours->sampleCount());
    for (std::size_t channel = 0; channel < 4; ++channel) {
        EXPECT_NEAR(theirs->model().inverseFrequencies[0][channel], ours->model().inverseFrequencies[0][channel], 1e-7);
    }
    for (int sample = 0; sample < ours->sampleCount(); ++sample) {
        const SampleText a = ours->readText(sample);
        const SampleText b = theirs->readText(sample);
        EXPECT_EQ(b.ids, a.ids) << "the generated tokens among them";
        EXPECT_EQ(b.pieces, a.pieces);
        EXPECT_EQ(b.spans, a.spans);
        EXPECT_EQ(theirs->sample(sample).promptSha256, ours->sample(sample).promptSha256);
        EXPECT_EQ(theirs->sample(sample).id, ours->sample(sample).id);
        EXPECT_NEAR(theirs->sample(sample).softmaxScale, ours->sample(sample).softmaxScale, 1e-12);
        EXPECT_EQ(b.topIds, a.topIds);
        EXPECT_LT(difference(b.topLogprobs, a.topLogprobs), 1e-4);
        EXPECT_LT(difference(b.nll, a.nll), 1e-5);
        EXPECT_LT(difference(theirs->readLastLogits(sample), ours->readLastLogits(sample)), 1e-5);
    }
}

TEST_F(TransformersRecording, HasTheSameNumbers)
{
    forEachLayer([&](int sample, int layer) {
        for (const TokenArray array : {TokenArray::RowLogSumExp, TokenArray::ColumnSum, TokenArray::RowEntropy,
                 TokenArray::RowSinkMass, TokenArray::RowMax, TokenArray::KeyNorm, TokenArray::ValueNorm,
                 TokenArray::OutputValueNorm1, TokenArray::RowGini, TokenArray::RowTopMass}) {
            EXPECT_LT(difference(theirs->read(sample, layer, array), ours->read(sample, layer, array)), 3e-4)
                << "layer " << layer << " " << tokenArrayName(array);
        }
        for (const VectorArray array : {VectorArray::Queries, VectorArray::Keys, VectorArray::Values}) {
            const std::int64_t tokens = ours->sample(sample).totalTokens;
            std::vector<float> a(index(tokens * ours->model().headDim));
            std::vector<float> b(a.size());
            ours->readVectors(sample, layer, array, 1, 0, tokens, a);
            theirs->readVectors(sample, layer, array, 1, 0, tokens, b);
            EXPECT_LT(difference(b, a), 1e-5) << "layer " << layer << " " << vectorArrayName(array);
        }
        EXPECT_LT(difference(theirs->readQueryMean(sample, layer), ours->readQueryMean(sample, layer)), 1e-5);
        EXPECT_LT(
            difference(theirs->readQueryCovariance(sample, layer), ours->readQueryCovariance(sample, layer)), 1e-5);
    });
}

TEST_F(TransformersRecording, HasTheSameMaps)
{
    // One unit in the last place of a half, and what float32 logits of 230 lose.
    constexpr double tolerance = 0x1p-11 + 1e-4;
    const auto floats = [](const std::vector<Half>& halves) {
        std::vector<float> result(halves.size());
        halvesToFloats(halves, result);
        return result;
    };
    const auto expectNear = [&](const std::vector<Half>& a, const std::vector<Half>& b, const std::string& what) {
        ASSERT_EQ(a.size(), b.size()) << what;
        const std::vector<float> x = floats(a);
        const std::vector<float> y = floats(b);
        for (std::size_t i = 0; i < x.size(); ++i) {
            ASSERT_NEAR(x[i], y[i], tolerance) << what << " cell " << i;
        }
    };
    forEachLayer([&](int sample, int layer) {
        std::vector<Half> a(index(tileSize * tileSize));
        std::vector<Half> b(a.size());
        EXPECT_EQ(theirs->layer(sample, layer).pyramidFactors, ours->layer(sample, layer).pyramidFactors);
        for (const Pooling pooling : {Pooling::Max, Pooling::Mean}) {
            expectNear(
                theirs->readOverview(sample, layer, pooling), ours->readOverview(sample, layer, pooling), "overview");
        }
        for (int head = 0; head < ours->model().numHeads; ++head) {
            ours->readMapTile(sample, layer, head, 0, 0, a);
            theirs->readMapTile(sample, layer, head, 0, 0, b);
            expectNear(a, b, "map");
            for (const int factor : ours->layer(sample, layer).pyramidFactors) {
                ours->readPyramidTile(sample, layer, head, factor, Pooling::Mean, 0, 0, a);
                theirs->readPyramidTile(sample, layer, head, factor, Pooling::Mean, 0, 0, b);
                expectNear(a, b, "pyramid");
            }
            const std::int64_t generated = ours->sample(sample).totalTokens - ours->sample(sample).promptTokens;
            for (std::int64_t row = 0; row < generated; ++row) {
                expectNear(theirs->readDecodeRow(sample, layer, head, row),
                    ours->readDecodeRow(sample, layer, head, row), "decode row");
            }
        }
    });
}

TEST_F(TransformersRecording, MethodsKeepTheSame)
{
    const SampleInfo& sample = ours->sample(0);
    const PromptLayout layout(sample.promptTokens, sample.totalTokens,
        {{1, 40, SpanKind::Shot, 0, ""}, {40, 90, SpanKind::Shot, 1, ""}, {90, 130, SpanKind::Question, -1, ""}});
    for (const MethodInfo& info : methodRegistry()) {
        // A token that occurs again has a key of the same norm, up to rounding: which of them knorm keeps is left to
        // it.
        if (info.takesPath || info.name == "knorm") {
            continue;
        }
        const Method method = parseMethod(info.name);
        const auto a = Replay(*ours).score(0, layout, std::span(&method, 1));
        const auto b = Replay(*theirs).score(0, layout, std::span(&method, 1));
        for (const char* keep : {"0.1", "0.3", "0.7"}) {
            EXPECT_EQ(b.front().choose(Budget::keep(keep)).kept, a.front().choose(Budget::keep(keep)).kept)
                << info.name << " " << keep;
        }
    }
}

} // namespace
} // namespace kvloupe
