// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording.h"
#include "core/recording/recording_writer.h"

#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <random>
#include <tuple>
#include <vector>

namespace kvloupe {
namespace {

namespace fs = std::filesystem;

constexpr int layerNumber = 1;

ModelInfo smallModel()
{
    ModelInfo model;
    model.name = "small";
    model.architecture = "llama";
    model.fileSha256 = "abc";
    model.config = R"({"note": "ä"})";
    model.numLayers = 3;
    model.numHeads = 4;
    model.numKvHeads = 2;
    model.headDim = 8;
    model.hiddenSize = 32;
    model.vocabSize = 50;
    model.maxPositions = 4096;
    model.attentionImplementation = "blocks";
    model.inverseFrequencies = {{1.0, 0.5, 0.25, 0.125}};
    model.attentionScaling = 1.5;
    model.tokenizerKind = "bpe";
    model.tokenizerSha256 = "def";
    return model;
}

RecordingInfo someInfo()
{
    return {1, makeUuid(), recordingTimestamp(), "KVLoupe test", "capture --record full"};
}

SampleInfo sampleInfo(std::int64_t prompt, std::int64_t total)
{
    return {"q-1", "pair-1", "gsm8k", "instruct", -7, "0123", prompt, total, 0.125, 1.5};
}

std::vector<float> numbers(std::int64_t count, std::uint32_t seed)
{
    std::mt19937 generator(seed);
    std::uniform_real_distribution<float> distribution(-1.0F, 1.0F);
    std::vector<float> values(static_cast<std::size_t>(count));
    std::ranges::generate(values, [&] { return distribution(generator); });
    return values;
}

std::vector<Half> halves(std::int64_t count, std::uint32_t seed)
{
    std::vector<Half> result(static_cast<std::size_t>(count));
    floatsToHalves(numbers(count, seed), result);
    return result;
}

/// A full tile of which only cells inside an `edge` x `edge` map are set.
std::vector<Half> tileWithin(std::int64_t edge, std::int64_t row, std::int64_t column, std::uint32_t seed)
{
    std::vector<Half> tile = halves(tileSize * tileSize, seed);
    for (std::int64_t r = 0; r < tileSize; ++r) {
        for (std::int64_t c = 0; c < tileSize; ++c) {
            if (row * tileSize + r >= edge || column * tileSize + c >= edge) {
                tile[static_cast<std::size_t>(r * tileSize + c)] = 0;
            }
        }
    }
    return tile;
}

SampleText someText(std::int64_t tokens)
{
    SampleText text;
    for (std::int64_t i = 0; i < tokens; ++i) {
        const std::string piece = i % 7 == 3 ? "ä" : " w" + std::to_string(i);
        const auto begin = std::ssize(text.text);
        text.text += piece;
        text.pieces.push_back(piece);
        text.offsets.push_back({begin, std::ssize(text.text)});
        text.ids.push_back(static_cast<std::int32_t>(i % 50));
        text.nll.push_back(i == 0 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(i));
        for (int k = 0; k < 5; ++k) {
            text.topIds.push_back(k);
            text.topLogprobs.push_back(-static_cast<float>(k));
        }
    }
    text.spans = {{0, 1, SpanKind::Bos, -1, ""}, {1, tokens / 2, SpanKind::Shot, 0, "shot ö"},
        {tokens / 2, tokens, SpanKind::Question, -1, "question"}};
    return text;
}

struct RoundTrip {
    Compression compression;
    std::int64_t prompt;
    std::int64_t total;
};

class RecordingRoundTrip : public testing::TestWithParam<RoundTrip> { };

TEST_P(RecordingRoundTrip, GivesBackEverythingThatWasWritten)
{
    const auto [compression, P, T] = GetParam();
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "r.h5";
    const ModelInfo model = smallModel();
    const std::int64_t H = model.numHeads;
    const std::int64_t K = model.numKvHeads;
    const std::int64_t d = model.headDim;
    const std::int64_t largest = T + 5; // the sample turns out shorter than it might have been
    const std::int64_t edge = overviewEdge(P);
    const std::int64_t tiles = (P + tileSize - 1) / tileSize;
    const std::int64_t tail = std::min<std::int64_t>(16, P);

    const auto lse = numbers(H * T, 1);
    const auto topMass = numbers(H * T * 3, 9);
    const auto keyNorm = numbers(K * T, 2);
    const auto queries = numbers(H * T * d, 3);
    const auto keys = numbers(K * T * d, 4);
    const auto tailData = numbers(H * tail * P, 5);
    const auto mean = numbers(H * d, 6);
    const auto covariance = numbers(H * d * d, 7);
    const auto overview = halves(H * edge * edge, 8);
    const auto logits = numbers(model.vocabSize, 9);
    const SampleText text = someText(T);
    const auto tokensOf = [](const std::vector<float>& data, std::int64_t heads, std::int64_t all, std::int64_t width,
                              std::int64_t begin, std::int64_t end) {
        std::vector<float> part;
        for (std::int64_t head = 0; head < heads; ++head) {
            part.insert(
                part.end(), data.begin() + (head * all + begin) * width, data.begin() + (head * all + end) * width);
        }
        return part;
    };

    {
        RecordingWriter writer(
            path, someInfo(), model, {RecordKind::Full, compression}, RecordingWriter::Existing::Refuse);
        const auto sample = writer.beginSample(0);
        sample->begin(sampleInfo(P, largest));
        LayerInfo layer;
        layer.layer = layerNumber;
        layer.window = 100;
        layer.mapHeads = {1, 3};
        sample->beginLayer(layer);
        sample->write(layerNumber, TokenArray::RowLogSumExp, 0, P, tokensOf(lse, H, T, 1, 0, P));
        sample->write(layerNumber, TokenArray::RowTopMass, 0, P, tokensOf(topMass, H, T, 3, 0, P));
        sample->write(layerNumber, TokenArray::KeyNorm, 0, P, tokensOf(keyNorm, K, T, 1, 0, P));
        sample->writeVectors(layerNumber, VectorArray::Queries, 0, P, tokensOf(queries, H, T, d, 0, P));
        sample->writeVectors(layerNumber, VectorArray::Keys, 0, P, tokensOf(keys, K, T, d, 0, P));
        ChunkCodec codec(compression);
        for (std::int64_t row = 0; row < tiles; ++row) {
            for (std::int64_t column = 0; column <= row; ++column) {
                sample->writeMapTile(layerNumber, 3, row, column,
                    tileWithin(P, row, column, static_cast<std::uint32_t>(100 + row * 10 + column)), codec);
            }
        }
        const std::int64_t pooled = (P + 3) / 4;
        sample->writePyramidTile(layerNumber, 2, 4, Pooling::Mean, 0, 0, tileWithin(pooled, 0, 0, 77), codec);
        sample->writeTail(layerNumber, tail, tailData);
        sample->writeQueryStatistics(layerNumber, mean, covariance);
        sample->writeOverview(layerNumber, Pooling::Max, overview);
        for (std::int64_t t = P; t < T; ++t) {
            sample->write(layerNumber, TokenArray::RowLogSumExp, t, 1, tokensOf(lse, H, T, 1, t, t + 1));
            sample->write(layerNumber, TokenArray::RowTopMass, t, 1, tokensOf(topMass, H, T, 3, t, t + 1));
            sample->write(layerNumber, TokenArray::KeyNorm, t, 1, tokensOf(keyNorm, K, T, 1, t, t + 1));
            sample->writeVectors(layerNumber, VectorArray::Queries, t, 1, tokensOf(queries, H, T, d, t, t + 1));
            sample->writeVectors(layerNumber, VectorArray::Keys, t, 1, tokensOf(keys, K, T, d, t, t + 1));
            if (t != P) {
                sample->writeDecodeRow(layerNumber, t - P, halves(2 * (t + 1), static_cast<std::uint32_t>(t)));
            }
        }
        sample->writeText(text);
        sample->writeLastLogits(logits);
        sample->commit(sampleInfo(P, T));
        writer.finish();
    }

    EXPECT_FALSE(fs::exists(folder.path() / "r.h5.parts"));
    const Recording recording = Recording::open(path);
    EXPECT_FALSE(recording.isPartial());
    EXPECT_EQ(recording.info().generator, "KVLoupe test");
    EXPECT_EQ(recording.model().config, model.config);
    EXPECT_EQ(recording.model().inverseFrequencies, model.inverseFrequencies);
    EXPECT_EQ(recording.model().attentionScaling, 1.5);
    EXPECT_EQ(recording.model().tokenizerSha256, "def");
    ASSERT_EQ(recording.sampleCount(), 1);
    const SampleInfo& info = recording.sample(0);
    EXPECT_EQ(std::tie(info.id, info.pairId, info.task, info.role, info.promptSha256),
        std::make_tuple("q-1", "pair-1", "gsm8k", "instruct", "0123"));
    EXPECT_EQ(std::tie(info.seed, info.promptTokens, info.totalTokens), std::make_tuple(-7, P, T));
    EXPECT_EQ(std::tie(info.softmaxScale, info.wallSeconds), std::make_tuple(0.125, 1.5));

    EXPECT_EQ(recording.layers(0), std::vector<int>{layerNumber});
    const LayerInfo& layer = recording.layer(0, layerNumber);
    EXPECT_EQ(layer.window, 100);
    EXPECT_EQ(layer.mapHeads, (std::vector<int>{1, 3}));
    EXPECT_TRUE(layer.hasQueriesKeys);
    EXPECT_FALSE(layer.hasValues);
    EXPECT_EQ(layer.tailRows, tail);
    EXPECT_EQ(layer.pyramidFactors, std::vector<int>{4});
    EXPECT_EQ(layer.decodeRows, T - P > 1 ? T - P : 0);

    EXPECT_TRUE(recording.has(0, layerNumber, TokenArray::RowLogSumExp));
    EXPECT_FALSE(recording.has(0, layerNumber, TokenArray::ColumnSum));
    EXPECT_EQ(recording.read(0, layerNumber, TokenArray::RowLogSumExp), lse);
    EXPECT_EQ(recording.read(0, layerNumber, TokenArray::RowTopMass), topMass);
    EXPECT_EQ(recording.read(0, layerNumber, TokenArray::KeyNorm), keyNorm);
    for (int head = 0; head < H; ++head) {
        for (const auto& [begin, end] :
            {std::pair<std::int64_t, std::int64_t>{0, T}, {T / 3, T / 2}, {T - 1, T}, {P, P}}) {
            std::vector<float> found(static_cast<std::size_t>((end - begin) * d));
            recording.readVectors(0, layerNumber, VectorArray::Queries, head, begin, end, found);
            EXPECT_EQ(found,
                tokensOf({queries.begin() + head * T * d, queries.begin() + (head + 1) * T * d}, 1, T, d, begin, end));
        }
    }
    std::vector<float> keyVectors(static_cast<std::size_t>(T * d));
    recording.readVectors(0, layerNumber, VectorArray::Keys, 1, 0, T, keyVectors);
    EXPECT_EQ(keyVectors, std::vector<float>(keys.begin() + T * d, keys.end()));
    EXPECT_EQ(recording.readQueryMean(0, layerNumber), mean);
    EXPECT_EQ(recording.readQueryCovariance(0, layerNumber), covariance);
    EXPECT_EQ(recording.readLastLogits(0), logits);
    EXPECT_EQ(recording.readOverview(0, layerNumber, Pooling::Max), overview);

    const auto tailRead = recording.readTail(0, layerNumber);
    ASSERT_EQ(std::ssize(tailRead), H * tail * T);
    for (std::int64_t row = 0; row < H * tail; ++row) {
        for (std::int64_t column = 0; column < T; ++column) {
            ASSERT_EQ(tailRead[static_cast<std::size_t>(row * T + column)],
                column < P ? tailData[static_cast<std::size_t>(row * P + column)] : 0.0F);
        }
    }

    std::vector<Half> tile(static_cast<std::size_t>(tileSize * tileSize));
    for (std::int64_t row = 0; row < tiles; ++row) {
        for (std::int64_t column = 0; column < tiles; ++column) {
            const bool written = recording.readMapTile(0, layerNumber, 3, row, column, tile);
            EXPECT_EQ(written, column <= row);
            EXPECT_EQ(tile,
                column <= row ? tileWithin(P, row, column, static_cast<std::uint32_t>(100 + row * 10 + column))
                              : std::vector<Half>(tile.size(), 0));
        }
    }
    EXPECT_FALSE(recording.readMapTile(0, layerNumber, 1, 0, 0, tile)) << "a map head of which nothing was written";
    EXPECT_THROW(recording.readMapTile(0, layerNumber, 0, 0, 0, tile), RecordingError) << "not a map head";
    EXPECT_TRUE(recording.readPyramidTile(0, layerNumber, 2, 4, Pooling::Mean, 0, 0, tile));
    EXPECT_EQ(tile, tileWithin((P + 3) / 4, 0, 0, 77));

    for (std::int64_t t = P; t < T; ++t) {
        const auto row = recording.readDecodeRow(0, layerNumber, 3, t - P);
        if (t == P) {
            EXPECT_TRUE(row.empty()) << "this row was left out";
        } else {
            const auto both = halves(2 * (t + 1), static_cast<std::uint32_t>(t));
            std::vector<Half> expected(both.begin() + t + 1, both.end());
            expected.resize(static_cast<std::size_t>(T), 0);
            EXPECT_EQ(row, expected);
        }
    }

    const SampleText found = recording.readText(0);
    EXPECT_EQ(found.text, text.text);
    EXPECT_EQ(found.ids, text.ids);
    EXPECT_EQ(found.pieces, text.pieces);
    EXPECT_EQ(found.offsets, text.offsets);
    EXPECT_EQ(found.topIds, text.topIds);
    EXPECT_EQ(found.topLogprobs, text.topLogprobs);
    EXPECT_EQ(found.spans, text.spans);
    ASSERT_EQ(found.nll.size(), text.nll.size());
    EXPECT_TRUE(std::isnan(found.nll[0]));
    EXPECT_TRUE(std::equal(found.nll.begin() + 1, found.nll.end(), text.nll.begin() + 1));

    std::vector<std::string> damaged;
    recording.verifyChunks(0, [&](const std::string& problem) { damaged.push_back(problem); }, {});
    EXPECT_THAT(damaged, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Sizes, RecordingRoundTrip,
    testing::Values(RoundTrip{Compression::Fast, 600, 700}, RoundTrip{Compression::None, 600, 600},
        RoundTrip{Compression::Small, 1, 2}, RoundTrip{Compression::Fast, 255, 256},
        RoundTrip{Compression::None, 256, 1200}, RoundTrip{Compression::Fast, 1025, 1030}),
    [](const auto& test) { return "P" + std::to_string(test.param.prompt) + "T" + std::to_string(test.param.total); });

} // namespace
} // namespace kvloupe
