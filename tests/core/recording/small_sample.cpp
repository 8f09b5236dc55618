// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/core/recording/small_sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <vector>

namespace kvloupe {

namespace {

constexpr std::int64_t promptTokens = 300;
constexpr std::int64_t totalTokens = 310;
constexpr int layers = 2;
constexpr int heads = 4;
constexpr int kvHeads = 2;
constexpr int headDim = 8;
constexpr Compression compression = Compression::Fast;

std::vector<float> numbers(std::int64_t count, int index, int what)
{
    std::mt19937 generator(static_cast<std::uint32_t>(index * 1000 + what));
    std::vector<float> values(static_cast<std::size_t>(count));
    std::ranges::generate(values, [&] { return static_cast<float>(generator() % 4096) / 4096.0F; });
    return values;
}

std::vector<Half> halves(std::int64_t count, int index, int what)
{
    std::vector<Half> result(static_cast<std::size_t>(count));
    floatsToHalves(numbers(count, index, what), result);
    return result;
}

std::vector<Half> mapTile(int index, std::int64_t row, std::int64_t column)
{
    std::vector<Half> tile = halves(tileSize * tileSize, index, static_cast<int>(40 + row * 2 + column));
    for (std::int64_t r = 0; r < tileSize; ++r) {
        for (std::int64_t c = 0; c < tileSize; ++c) {
            if (row * tileSize + r >= promptTokens || column * tileSize + c >= promptTokens) {
                tile[static_cast<std::size_t>(r * tileSize + c)] = 0;
            }
        }
    }
    return tile;
}

SampleInfo sampleInfo(int index)
{
    SampleInfo info;
    info.id = fmt::format("small-{}", index);
    info.pairId = "pair";
    info.task = "test";
    info.role = "base";
    info.seed = index;
    info.promptSha256 = fmt::format("{:064x}", index);
    info.promptTokens = promptTokens;
    info.totalTokens = totalTokens;
    info.softmaxScale = 0.25;
    return info;
}

SampleText sampleText(int index)
{
    SampleText text;
    for (std::int64_t token = 0; token < totalTokens; ++token) {
        text.pieces.push_back(fmt::format(" {}", token * index));
        const auto begin = std::ssize(text.text);
        text.text += text.pieces.back();
        text.offsets.push_back({begin, std::ssize(text.text)});
        text.ids.push_back(static_cast<std::int32_t>((token * 7 + index) % 50));
    }
    text.spans
        = {{0, 100, SpanKind::Shot, 0, fmt::format("shot of {}", index)}, {100, 300, SpanKind::Question, -1, ""}};
    return text;
}

} // namespace

ModelInfo smallModel()
{
    ModelInfo model;
    model.name = "small";
    model.architecture = "llama";
    model.fileSha256 = "abc";
    model.config = "{}";
    model.numLayers = layers;
    model.numHeads = heads;
    model.numKvHeads = kvHeads;
    model.headDim = headDim;
    model.hiddenSize = heads * headDim;
    model.vocabSize = 50;
    model.maxPositions = 4096;
    model.tokenizerKind = "bpe";
    model.tokenizerSha256 = "def";
    return model;
}

RecordingInfo smallInfo()
{
    return {1, "00000000-0000-4000-8000-000000000000", "2025-02-04T00:00:00Z", "test", ""};
}

void writeSmallSample(RecordingWriter& writer, int index)
{
    const auto sample = writer.beginSample(index);
    sample->begin(sampleInfo(index));
    ChunkCodec codec(compression);
    for (int layer = 0; layer < layers; ++layer) {
        LayerInfo info;
        info.layer = layer;
        info.mapHeads = {2};
        sample->beginLayer(info);
        sample->writeVectors(
            layer, VectorArray::Queries, 0, totalTokens, numbers(heads * totalTokens * headDim, index, 1));
        sample->writeVectors(
            layer, VectorArray::Keys, 0, totalTokens, numbers(kvHeads * totalTokens * headDim, index, 2));
        sample->write(layer, TokenArray::RowLogSumExp, 0, totalTokens, numbers(heads * totalTokens, index, 3));
        for (std::int64_t row = 0; row < 2; ++row) {
            for (std::int64_t column = 0; column <= row; ++column) {
                sample->writeMapTile(layer, 2, row, column, mapTile(index, row, column), codec);
            }
        }
        sample->writeOverview(layer, Pooling::Max, halves(heads * 75 * 75, index, 4));
    }
    sample->writeText(sampleText(index));
    sample->commit(sampleInfo(index));
}

std::string differenceFromSmallSample(const Recording& recording, int position, int index)
{
    std::string difference;
    recording.verifyChunks(position, [&](const std::string& problem) { difference = problem; }, {});
    if (!difference.empty()) {
        return difference;
    }
    if (recording.sample(position).id != sampleInfo(index).id) {
        return fmt::format("id {}", recording.sample(position).id);
    }
    const SampleText text = recording.readText(position);
    const SampleText expected = sampleText(index);
    if (text.text != expected.text || text.pieces != expected.pieces || text.ids != expected.ids
        || text.offsets != expected.offsets || text.spans != expected.spans) {
        return "text";
    }
    if (recording.layers(position) != std::vector<int>{0, 1}) {
        return "layers";
    }
    for (int layer = 0; layer < layers; ++layer) {
        const auto queries = numbers(heads * totalTokens * headDim, index, 1);
        for (int head = 0; head < heads; ++head) {
            std::vector<float> found(totalTokens * headDim);
            recording.readVectors(position, layer, VectorArray::Queries, head, 0, totalTokens, found);
            if (!std::equal(found.begin(), found.end(), queries.begin() + head * totalTokens * headDim)) {
                return fmt::format("queries of layer {} head {}", layer, head);
            }
        }
        if (recording.read(position, layer, TokenArray::RowLogSumExp) != numbers(heads * totalTokens, index, 3)) {
            return fmt::format("row_logsumexp of layer {}", layer);
        }
        if (recording.readOverview(position, layer, Pooling::Max) != halves(heads * 75 * 75, index, 4)) {
            return fmt::format("overview of layer {}", layer);
        }
        std::vector<Half> tile(tileSize * tileSize);
        for (std::int64_t row = 0; row < 2; ++row) {
            for (std::int64_t column = 0; column <= row; ++column) {
                if (!recording.readMapTile(position, layer, 2, row, column, tile)
                    || tile != mapTile(index, row, column)) {
                    return fmt::format("map tile ({}, {}) of layer {}", row, column, layer);
                }
            }
        }
    }
    return {};
}

void writeSmallRecording(const std::filesystem::path& path, int samples, RecordingWriter::Existing existing)
{
    RecordingWriter writer(path, smallInfo(), smallModel(), {RecordKind::Full, compression}, existing);
    for (int index = 0; index < samples; ++index) {
        if (!writer.completeSamples().contains(index)) {
            writeSmallSample(writer, index);
        }
    }
    writer.finish();
}

} // namespace kvloupe
