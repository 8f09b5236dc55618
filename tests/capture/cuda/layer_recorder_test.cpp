// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/layer_recorder.h"
#include "core/attention/attention_rows.h"
#include "core/recording/recording.h"
#include "core/recording/recording_writer.h"
#include "fake_transfer_device.h"
#include "host_kernels.h"
#include "recording_comparison.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <numeric>
#include <random>

namespace kvloupe::cuda {
namespace {

constexpr int dim = 64;
constexpr int heads = 4;
constexpr int kvHeads = 2;

std::size_t at(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// A layer of random vectors of a prompt and generated tokens, [tokens, heads, dim] as a device has them.
struct Layer {
    Layer(int promptTokens, int generatedTokens, int slidingWindow)
        : prompt(promptTokens)
        , tokens(promptTokens + generatedTokens)
        , window(slidingWindow)
    {
        std::mt19937_64 random(17);
        std::normal_distribution<float> normal(0.0F, 1.3F);
        const auto fill = [&](std::vector<float>& array, int count) {
            array.resize(at(std::int64_t{tokens} * count * dim));
            for (float& x : array)
                x = normal(random);
        };
        fill(queries, heads);
        fill(keys, kvHeads);
        fill(values, kvHeads);
    }

    /// Tokens [begin, end) as [heads, tokens, dim].
    static std::vector<float> byHead(const std::vector<float>& array, int count, int begin, int end)
    {
        std::vector<float> result;
        for (int h = 0; h < count; ++h)
            for (int t = begin; t < end; ++t)
                result.insert(
                    result.end(), array.begin() + (t * count + h) * dim, array.begin() + (t * count + h + 1) * dim);
        return result;
    }

    int prompt;
    int tokens;
    int window;
    std::vector<float> queries;
    std::vector<float> keys;
    std::vector<float> values;
};

ModelInfo modelInfo()
{
    ModelInfo model;
    model.numLayers = 1;
    model.numHeads = heads;
    model.numKvHeads = kvHeads;
    model.headDim = dim;
    model.hiddenSize = heads * dim;
    model.vocabSize = 10;
    model.maxPositions = 4096;
    model.inverseFrequencies = {std::vector<double>(dim / 2, 1.0)};
    return model;
}

/// A recording of one layer: `makeAttention(recorder)` gives what is called with tokens [begin, end), run after run, at
/// last with none. It goes before the recorder does.
template <typename MakeAttention>
Recording recorded(const std::filesystem::path& path, const Layer& layer, AttentionRecorder::Options options,
    const MakeAttention& makeAttention)
{
    const ModelInfo model = modelInfo();
    RecordOptions recordOptions;
    recordOptions.kind = options.kind;
    {
        RecordingWriter writer(path, RecordingInfo{}, model, recordOptions, RecordingWriter::Existing::Refuse);
        const auto sample = writer.beginSample(0);
        SampleInfo info;
        info.promptTokens = layer.prompt;
        info.totalTokens = layer.tokens;
        info.softmaxScale = 0.125;
        sample->begin(info);
        AttentionRecorder recorder(*sample, model, layer.prompt, layer.tokens, options);
        auto attention = makeAttention(recorder);
        for (int begin = 0; begin < layer.tokens;) {
            const int end = begin == 0 ? layer.prompt : begin + 1;
            const auto queries = Layer::byHead(layer.queries, heads, begin, end);
            const auto keys = Layer::byHead(layer.keys, kvHeads, begin, end);
            const auto values = Layer::byHead(layer.values, kvHeads, begin, end);
            LayerVectors vectors;
            vectors.tokenBegin = begin;
            vectors.tokens = end - begin;
            vectors.queries = queries;
            vectors.keys = keys;
            vectors.values = values;
            recorder.beginLayer(vectors, layer.window);
            attention(begin, end);
            recorder.endLayer(0);
            begin = end;
        }
        attention(layer.tokens, layer.tokens);
        recorder.finish(layer.tokens);
        SampleText text;
        text.ids.assign(at(layer.tokens), 1);
        text.pieces.assign(at(layer.tokens), "x");
        text.text = std::string(at(layer.tokens), 'x');
        for (std::int64_t t = 0; t < layer.tokens; ++t)
            text.offsets.push_back({t, t + 1});
        sample->writeText(text);
        sample->commit(info);
        writer.finish(true);
    }
    return Recording::open(path);
}

/// As the CPU's forward pass records.
Recording recordedByRows(
    const std::filesystem::path& path, const Layer& layer, const AttentionRecorder::Options& options)
{
    const auto attention = [&](AttentionRecorder& recorder, int begin, int end) {
        for (int h = 0; h < heads && begin < end; ++h) {
            const auto queries = Layer::byHead(layer.queries, heads, 0, end);
            const auto allKeys = Layer::byHead(layer.keys, kvHeads, 0, end);
            const PackedKeys keys(std::span<const float>(allKeys).subspan(at(h / 2 * end * dim), at(end * dim)), dim);
            for (int row = begin; row < end; row += 256) {
                const int rows = std::min(256, end - row);
                const std::int64_t stride = (row + rows + 15) / 16 * 16;
                std::vector<float> cells(at(rows * stride));
                std::vector<RowStatistics> statistics(at(rows));
                attention_rows::softmaxRows(std::span(queries).subspan(at((h * end + row) * dim)), keys, row, rows,
                    {.scale = 0.125F, .window = layer.window}, cells, stride, statistics);
                recorder.block(0, h, row, rows, cells, stride, statistics);
            }
        }
    };
    return recorded(path, layer, options,
        [&](AttentionRecorder& recorder) { return [&](int begin, int end) { attention(recorder, begin, end); }; });
}

/// The attention of a layer by kernels that run on the CPU.
class KernelAttention {
public:
    KernelAttention(HostKernels& kernels, AttentionRecorder& recorder, const Layer& layer,
        LayerRecorder::MapTransfer transfer, LayerRecorder::Limits limits)
        : m_layer(layer)
        , m_recorder(std::make_unique<LayerRecorder>(kernels, recorder, transfer, limits))
    {
    }

    void operator()(int begin, int end)
    {
        if (begin == end)
            return m_recorder->finish();
        std::vector<float> context(at((end - begin) * heads * dim));
        LayerAttention<float> attention;
        attention.heads = heads;
        attention.headDim = dim;
        attention.context = context.data();
        attention.contextHeadStride = dim;
        attention.contextRowStride = heads * dim;
        AttentionInput<float>& input = attention.input;
        input.queries = m_layer.queries.data() + std::int64_t{begin} * heads * dim;
        input.keys = m_layer.keys.data();
        input.values = m_layer.values.data();
        input.queryHeadStride = input.keyHeadStride = input.valueHeadStride = dim;
        input.queryRowStride = heads * dim;
        input.keyRowStride = input.valueRowStride = kvHeads * dim;
        input.rows = end - begin;
        input.past = begin;
        input.window = m_layer.window;
        input.headsPerKvHead = heads / kvHeads;
        input.scale = 0.125F;
        if (begin == 0)
            m_recorder->prompt(attention);
        else
            m_recorder->generated(attention);
    }

private:
    const Layer& m_layer;
    std::unique_ptr<LayerRecorder> m_recorder;
};

Recording recordedByKernels(const std::filesystem::path& path, const Layer& layer,
    const AttentionRecorder::Options& options, HostKernels& kernels, std::size_t slotBytes,
    LayerRecorder::Limits limits = {}, std::chrono::milliseconds copyTime = {})
{
    FakeTransferDevice transfer;
    transfer.copyTime = copyTime;
    return recorded(path, layer, options, [&](AttentionRecorder& recorder) {
        return KernelAttention(kernels, recorder, layer, {transfer, 2, slotBytes}, limits);
    });
}

void expectSameRecording(const Layer& layer, const AttentionRecorder::Options& options)
{
    SCOPED_TRACE(testing::Message() << layer.prompt << " of " << layer.tokens << " tokens, window " << layer.window);
    const TemporaryFolder folder;
    HostKernels kernels;
    const Recording expected = recordedByRows(folder.path() / "rows.h5", layer, options);
    const Recording found
        = recordedByKernels(folder.path() / "kernels.h5", layer, options, kernels, std::size_t{1} << 20);
    expectSameLayer(found, expected, 0);
}

TEST(LayerRecorder, RecordsWhatTheForwardPassOfTheCpuDoes)
{
    AttentionRecorder::Options options;
    for (const RecordKind kind : {RecordKind::Full, RecordKind::QueriesKeys, RecordKind::Statistics}) {
        options.kind = kind;
        expectSameRecording(Layer(600, 3, 0), options);
        expectSameRecording(Layer(90, 1, 0), options);
        expectSameRecording(Layer(300, 2, 70), options);
    }
}

TEST(LayerRecorder, RecordsMapsOfSomeHeadsAndOrdersOfRows)
{
    AttentionRecorder::Options options;
    options.mapHeads = {{0, 2, 3}};
    expectSameRecording(Layer(520, 1, 0), options);
    options.rowOrder = true;
    expectSameRecording(Layer(270, 1, 0), options);
}

TEST(LayerRecorder, MapsPassThroughBuffersOfAnySize)
{
    const TemporaryFolder folder;
    const Layer layer(600, 0, 0);
    const Recording expected = recordedByRows(folder.path() / "rows.h5", layer, {});
    constexpr std::size_t tile = 256 * 256 * 2;
    for (const std::size_t slot : {3 * tile, 5 * tile, 12 * tile, 100 * tile}) {
        HostKernels kernels;
        const auto path = folder.path() / ("kernels" + std::to_string(slot) + ".h5");
        expectSameLayer(recordedByKernels(path, layer, {}, kernels, slot), expected, 0);
    }
}

TEST(LayerRecorder, NothingArrivesAfterAnErrorHasEndedIt)
{
    const TemporaryFolder folder;
    const Layer layer(600, 0, 0); // its third row of tiles is larger than a buffer, the first two are on their way then
    constexpr std::size_t tile = 256 * 256 * 2;
    for (const int milliseconds : {0, 20}) {
        HostKernels kernels;
        const auto path = folder.path() / ("small" + std::to_string(milliseconds) + ".h5");
        const auto record = [&] {
            recordedByKernels(path, layer, {}, kernels, 2 * tile, {}, std::chrono::milliseconds(milliseconds));
        };
        EXPECT_THROW(record(), DeviceMemoryError);
    }
}

TEST(LayerRecorder, TakesFewerHeadsAtOnceWhereMemoryIsShort)
{
    const TemporaryFolder folder;
    const Layer layer(400, 0, 0);
    AttentionRecorder::Options options;
    options.kind = RecordKind::QueriesKeys;
    const Recording expected = recordedByRows(folder.path() / "rows.h5", layer, options);
    int allocations = 0;
    const auto launches = [&](std::size_t memory, LayerRecorder::Limits limits) {
        HostKernels kernels(memory);
        const auto path = folder.path() / ("kernels" + std::to_string(memory) + ".h5");
        expectSameLayer(recordedByKernels(path, layer, options, kernels, 1, limits), expected, 0);
        EXPECT_TRUE(kernels.isIdle()) << "memory or copies are left";
        allocations = kernels.allocations;
        return kernels.launchedHeads;
    };
    EXPECT_EQ(launches(1U << 30, {}), std::vector{4});
    EXPECT_EQ(launches((1U << 30) + 1, {.workBytes = 1}), (std::vector{1, 1, 1, 1}));
    EXPECT_EQ(allocations, 1) << "work space is kept from group to group";
    const std::vector<int> few = launches(220'000, {});
    EXPECT_GT(few.size(), 1U);
    EXPECT_EQ(std::accumulate(few.begin(), few.end(), 0), 4);
    EXPECT_THROW(launches(1000, {}), DeviceMemoryError);
}

} // namespace
} // namespace kvloupe::cuda
