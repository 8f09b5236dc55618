// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/checkpoint.h"
#include "capture/cuda/device_transformer.h"
#include "capture/model/model_error.h"
#include "capture/recorder/recording_observer.h"
#include "core/recording/recording_writer.h"
#include "fake_transfer_device.h"
#include "host_kernels.h"
#include "recording_comparison.h"
#include "tests/support/byte_llama.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>

namespace kvloupe::cuda {
namespace {

/// A llama whose heads the kernels have, in memory as the CPU's model and as the device's.
class DeviceTransformerTest : public testing::Test {
protected:
    DeviceTransformerTest()
        : m_checkpoint(Checkpoint::open(writeByteLlama(m_folder, {.context = 600, .headDim = 64})))
        , m_cpu(Transformer::load(*m_checkpoint))
    {
        std::mt19937 random(4);
        for (int i = 0; i < 300; ++i)
            m_ids.push_back(static_cast<std::int32_t>(random() % 256));
    }

    std::unique_ptr<DeviceTransformer> device(ComputeType type)
    {
        DeviceTransformer::Options options;
        options.type = type;
        options.onCpu = true;
        return DeviceTransformer::load(*m_checkpoint, m_kernels, options);
    }

    TemporaryFolder m_folder;
    std::unique_ptr<Checkpoint> m_checkpoint;
    std::unique_ptr<Transformer> m_cpu;
    HostKernels m_kernels;
    std::vector<std::int32_t> m_ids;
};

void expectClose(const std::vector<float>& found, const std::vector<float>& expected, float bound)
{
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (std::isnan(expected[i])) {
            ASSERT_TRUE(std::isnan(found[i])) << i;
        } else {
            ASSERT_NEAR(found[i], expected[i], bound) << i;
        }
    }
}

TEST_F(DeviceTransformerTest, PredictsWhatTheCpuDoes)
{
    const auto model = device(ComputeType::Float32);
    KvCache cpuCache = m_cpu->makeCache(400);
    DeviceCache cache = model->makeCache(400);
    for (const auto& [begin, end] : {std::pair{0, 200}, std::pair{200, 290}}) {
        const auto ids
            = std::span(m_ids).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
        const PrefillResult expected = m_cpu->prefill(ids, cpuCache);
        const PrefillResult found = model->prefill(ids, cache);
        expectClose(found.lastLogits, expected.lastLogits, 2e-4F);
        expectClose(found.nll, expected.nll, 2e-4F);
        expectClose(found.topLogprobs, expected.topLogprobs, 2e-4F);
        EXPECT_EQ(found.topIds, expected.topIds);
        EXPECT_EQ(cache.size(), end);
    }
    for (int i = 290; i < 295; ++i) {
        const std::int32_t id = m_ids[static_cast<std::size_t>(i)];
        const DecodeResult expected = m_cpu->decode(id, cpuCache);
        const DecodeResult found = model->decode(id, cache);
        expectClose(found.logits, expected.logits, 2e-4F);
        EXPECT_NEAR(found.nll, expected.nll, 2e-4F);
        EXPECT_EQ(found.topIds, expected.topIds);
    }
}

TEST_F(DeviceTransformerTest, InBfloat16PredictionsAreClose)
{
    const auto model = device(ComputeType::Bfloat16);
    KvCache cpuCache = m_cpu->makeCache(400);
    DeviceCache cache = model->makeCache(400);
    const PrefillResult expected = m_cpu->prefill(m_ids, cpuCache);
    const PrefillResult found = model->prefill(m_ids, cache);
    double difference = 0.0;
    for (std::size_t i = 1; i < m_ids.size(); ++i)
        difference += static_cast<double>(std::abs(found.nll[i] - expected.nll[i]));
    EXPECT_LT(difference / static_cast<double>(m_ids.size()), 0.2);
    EXPECT_GT(difference, 1e-3) << "were the weights rounded at all?";
}

/// Prompt and generated tokens of one model, recorded by whatever `run` does.
template <typename Run>
Recording record(const std::filesystem::path& path, const ModelConfig& config, RecordKind kind,
    std::int64_t promptTokens, std::int64_t generated, const Run& run)
{
    ModelInfo model;
    model.numLayers = config.numLayers;
    model.numHeads = config.numHeads;
    model.numKvHeads = config.numKvHeads;
    model.headDim = config.headDim;
    model.hiddenSize = config.hiddenSize;
    model.vocabSize = config.vocabSize;
    model.maxPositions = config.maxPositions;
    model.inverseFrequencies = {std::vector<double>(static_cast<std::size_t>(config.headDim / 2), 1.0)};
    RecordOptions options;
    options.kind = kind;
    RecordingWriter writer(path, RecordingInfo{}, model, options, RecordingWriter::Existing::Refuse);
    const auto sample = writer.beginSample(0);
    SampleInfo info;
    info.promptTokens = promptTokens;
    info.totalTokens = promptTokens + generated;
    info.softmaxScale = config.attentionScale;
    sample->begin(info);
    AttentionRecorder::Options recorderOptions;
    recorderOptions.kind = kind;
    AttentionRecorder recorder(*sample, model, promptTokens, info.totalTokens, recorderOptions);
    run(recorder);
    recorder.finish(info.totalTokens);
    SampleText text;
    text.ids.assign(static_cast<std::size_t>(info.totalTokens), 1);
    text.pieces.assign(text.ids.size(), "x");
    text.text = std::string(text.ids.size(), 'x');
    for (std::int64_t t = 0; t < info.totalTokens; ++t)
        text.offsets.push_back({t, t + 1});
    sample->writeText(text);
    sample->commit(info);
    writer.finish(true);
    return Recording::open(path);
}

TEST_F(DeviceTransformerTest, RecordsWhatTheCpuDoes)
{
    const auto model = device(ComputeType::Float32);
    const ModelConfig& config = m_cpu->config();
    constexpr std::int64_t prompt = 280;
    const auto ids = std::span(m_ids).first(prompt);
    for (const RecordKind kind : {RecordKind::Full, RecordKind::QueriesKeys, RecordKind::Statistics}) {
        const std::string name = std::to_string(static_cast<int>(kind));
        const Recording expected = record(
            m_folder.path() / ("cpu" + name + ".h5"), config, kind, prompt, 2, [&](AttentionRecorder& recorder) {
                RecordingObserver observer(recorder, config.layers, m_cpu.get());
                KvCache cache = m_cpu->makeCache(prompt + 2);
                m_cpu->prefill(ids, cache, {}, &observer);
                m_cpu->decode(3, cache, &observer);
                m_cpu->decode(5, cache, &observer);
            });
        FakeTransferDevice transfer;
        const Recording found = record(
            m_folder.path() / ("device" + name + ".h5"), config, kind, prompt, 2, [&](AttentionRecorder& recorder) {
                LayerRecorder layers(m_kernels, recorder, {transfer, 2, std::size_t{1} << 20}, {});
                const DeviceRecording recording{recorder, layers, config.layers, true};
                DeviceCache cache = model->makeCache(prompt + 2);
                model->prefill(ids, cache, {}, &recording);
                model->decode(3, cache, &recording);
                model->decode(5, cache, &recording);
            });
        for (int layer = 0; layer < config.numLayers; ++layer) {
            SCOPED_TRACE(testing::Message() << "kind " << name << " layer " << layer);
            // Products before the attention are rounded in another order.
            constexpr float bound = 1e-4F;
            expectSameLayer(found, expected, layer, bound);
            expectNear(found.read(0, layer, TokenArray::OutputValueNorm1),
                expected.read(0, layer, TokenArray::OutputValueNorm1), 1.0F, bound);
            expectNear(found.readQueryMean(0, layer), expected.readQueryMean(0, layer), 1.0F, bound);
        }
    }
}

TEST_F(DeviceTransformerTest, RefusesWhatItCannotRun)
{
    const auto model = device(ComputeType::Float32);
    DeviceCache cache = model->makeCache(20);
    EXPECT_THROW(model->prefill({}, cache), ModelError);
    EXPECT_THROW(model->prefill(std::span(m_ids).first(21), cache), ModelError);
    const std::vector<std::int32_t> outside{257};
    EXPECT_THROW(model->prefill(outside, cache), ModelError);
    EXPECT_EQ(cache.size(), 0);
    const TemporaryFolder small;
    const auto checkpoint = Checkpoint::open(writeByteLlama(small));
    try {
        DeviceTransformer::load(*checkpoint, m_kernels, {.onCpu = true});
        FAIL() << "heads of 8 were taken";
    } catch (const ModelError& error) {
        EXPECT_NE(std::string(error.what()).find("head dimension of 8, the kernels have 64, 80, 96, 128, 256"),
            std::string::npos)
            << error.what();
    }
    DeviceCache large = model->makeCache(400);
    EXPECT_THROW(model->prefill(m_ids, large, [](double) { return false; }), Cancelled);
    EXPECT_EQ(large.size(), 0);
}

} // namespace
} // namespace kvloupe::cuda
