// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/device_live_model.h"

#include "capture/cuda/cuda_live.h"
#include "capture/cuda/device_transformer_state.h"
#include "capture/evaluation/evaluation.h"
#include "capture/tasks/task_suite.h"
#include "core/results/result_file.h"
#include "host_kernels.h"
#include "tests/capture/cache/tiny_prompt.h"
#include "tests/support/byte_llama.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kvloupe::cuda {
namespace {

constexpr int promptTokens = 120;

/// One model in memory twice: on the CPU, and with LibTorch and the kernels' programs where a device would be.
struct BothModels {
    explicit BothModels(ComputeType type = ComputeType::Float32, bool gemma = false)
    {
        const auto checkpoint
            = Checkpoint::open(writeByteLlama(folder, {.context = 400, .headDim = 64, .gemma = gemma}));
        transformer = Transformer::load(*checkpoint);
        cpu = onCpu(*transformer);
        DeviceTransformer::Options options;
        options.type = type;
        options.onCpu = true;
        device = onDevice(DeviceTransformer::load(*checkpoint, kernels, options));
    }

    TemporaryFolder folder;
    HostKernels kernels;
    std::unique_ptr<Transformer> transformer;
    std::shared_ptr<const LiveModel> cpu;
    std::shared_ptr<const LiveModel> device;
};

/// No token twice: keys of the first layer would have norms that differ by rounding alone.
std::vector<std::int32_t> distinctIds()
{
    std::vector<std::int32_t> ids;
    for (int i = 0; i < promptTokens; ++i)
        ids.push_back(37 * i % 251);
    return ids;
}

double largestDifference(std::span<const float> a, std::span<const float> b)
{
    EXPECT_EQ(a.size(), b.size());
    double largest = 0.0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        largest = std::max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    return largest;
}

/// One prompt on both, and branches of all methods of it.
struct BothPrompts {
    BothPrompts(const BothModels& models, const std::vector<Method>& methods, const char* keep)
        : cpu(models.cpu, distinctIds(), tinyLayout(promptTokens), methods)
        , device(models.device, distinctIds(), tinyLayout(promptTokens), methods)
    {
        for (std::size_t method = 0; method < methods.size(); ++method) {
            expected.push_back(cpu.branch(method, Budget::keep(keep)));
            found.push_back(device.branch(method, Budget::keep(keep)));
        }
    }

    LivePrompt cpu;
    LivePrompt device;
    std::vector<Branch> expected;
    std::vector<Branch> found;
};

/// Both go the same way for some tokens: what they hold and what they predict.
void expectSameWay(const BothModels& models, std::vector<Branch>& expected, std::vector<Branch>& found, int steps)
{
    for (int step = 0; step < steps; ++step) {
        std::vector<std::int32_t> ids;
        for (std::size_t b = 0; b < expected.size(); ++b)
            ids.push_back(static_cast<std::int32_t>((37 * step + 11) % 250)); // one text for all
        const auto cpu = BatchDecoder(models.cpu).step(pointersTo(expected), ids);
        const auto device = BatchDecoder(models.device).step(pointersTo(found), ids);
        const std::size_t vocabulary = cpu.size() / expected.size();
        for (std::size_t b = 0; b < expected.size(); ++b) {
            SCOPED_TRACE(testing::Message() << expected[b].method().spec << ", step " << step);
            const auto row = [&](const std::vector<float>& logits) {
                return std::span(logits).subspan(b * vocabulary, vocabulary);
            };
            ASSERT_LT(largestDifference(row(cpu), row(device)), 3e-4);
            for (int layer = 0; layer < expected[b].layers(); ++layer)
                ASSERT_EQ(expected[b].alive(layer).sets, found[b].alive(layer).sets) << "layer " << layer;
        }
    }
}

TEST(DeviceLiveModel, EveryMethodGoesTheWayItGoesOnTheCpu)
{
    const BothModels models;
    const std::vector<Method> methods = everyMethod();
    const std::vector<std::int32_t> ids = distinctIds();
    const LivePrompt cpu(models.cpu, ids, tinyLayout(promptTokens), methods);
    const LivePrompt device(models.device, ids, tinyLayout(promptTokens), methods);
    EXPECT_LT(largestDifference(cpu.logits(), device.logits()), 2e-4);
    std::vector<Branch> expected;
    std::vector<Branch> found;
    for (std::size_t method = 0; method < methods.size(); ++method) {
        const Budget budget = Budget::keep(method % 2 == 0 ? "0.15" : "0.5");
        SCOPED_TRACE(testing::Message() << methods[method].spec << " " << budget.text());
        expected.push_back(cpu.branch(method, budget));
        found.push_back(device.branch(method, budget));
        for (int layer = 0; layer < expected.back().layers(); ++layer)
            ASSERT_EQ(expected.back().alive(layer).sets, found.back().alive(layer).sets) << "layer " << layer;
    }
    expectSameWay(models, expected, found, 12);
}

TEST(DeviceLiveModel, WindowsNormsAndASecondRopeAreThoseOfTheCpu)
{
    const BothModels models(ComputeType::Float32, true);
    ASSERT_EQ(models.cpu->config().window(0), 24);
    const std::vector<Method> methods{parseMethod("full"), parseMethod("snapkv:window=8"),
        parseMethod("h2o:variant=drop"), parseMethod("streaming_llm:pos_mode=rerotate,phase=every_step")};
    BothPrompts both(models, methods, "0.4");
    EXPECT_LT(largestDifference(both.cpu.logits(), both.device.logits()), 1e-3);
    expectSameWay(models, both.expected, both.found, 30);
}

TEST(DeviceLiveModel, TokensThatCloseRanksAreTurnedAgainAndAgain)
{
    const BothModels models;
    const std::vector<Method> methods{parseMethod("streaming_llm:pos_mode=rerotate,phase=every_step"),
        parseMethod("streaming_llm:pos_mode=rerotate"), parseMethod("streaming_llm@paper")};
    BothPrompts both(models, methods, "0.3");
    BatchDecoder(models.cpu).repeatLastToken(pointersTo(both.expected));
    BatchDecoder(models.device).repeatLastToken(pointersTo(both.found));
    for (std::size_t b = 0; b < methods.size(); ++b)
        EXPECT_LT(largestDifference(both.expected[b].promptLogits(), both.found[b].promptLogits()), 3e-4);
    expectSameWay(models, both.expected, both.found, 60);
}

TEST(DeviceLiveModel, CopiesGoTheirOwnWays)
{
    const BothModels models;
    const LivePrompt device(
        models.device, distinctIds(), tinyLayout(promptTokens), {parseMethod("h2o"), parseMethod("full")});
    std::vector<Branch> one{device.branch(0, Budget::keep("0.3"))};
    BatchDecoder(models.device).step(pointersTo(one), std::vector<std::int32_t>{5});
    std::vector<Branch> copy = one;
    std::vector<Branch> again = one;
    const auto first = BatchDecoder(models.device).generateGreedy(pointersTo(copy), {.maxTokens = 12});
    BatchDecoder(models.device).step(pointersTo(one), std::vector<std::int32_t>{77});
    const auto second = BatchDecoder(models.device).generateGreedy(pointersTo(again), {.maxTokens = 12});
    EXPECT_EQ(first.front().ids, second.front().ids);
    EXPECT_GT(one.front().bytes(), 0);
}

TEST(DeviceLiveModel, AnEvaluationGivesTheResponsesOfTheCpu)
{
    const TemporaryFolder folder;
    const auto evaluate = [&](const std::string& name, std::shared_ptr<LiveDevice> device) {
        EvaluationOptions options;
        options.model = writeByteLlama(folder, {.context = 1200, .headDim = 64});
        options.suite = "fundamental";
        options.tasks = {&findTask(findSuite("fundamental"), "wk")};
        options.items.samples = 1;
        options.items.shots = 2;
        options.methods = {parseMethod("snapkv:window=16"), parseMethod("h2o:variant=drop"),
            parseMethod("pyramidinfer:phases=prefill")};
        options.budgets = {Budget::keep("0.4")};
        options.maxNewTokens = 8;
        options.device = std::move(device);
        options.out = folder.path() / name;
        EXPECT_EQ(Evaluation(options, {}).run().skipped, 0);
        return readResults(options.out).runs.front();
    };
    const ResultRun expected = evaluate("cpu.jsonl", nullptr);
    const ResultRun found = evaluate("device.jsonl",
        std::make_shared<KernelLive>(
            DeviceModel{"a device", ComputeType::Float32, true}, std::make_unique<HostKernels>()));
    EXPECT_EQ(expected.header.model.device, "cpu");
    EXPECT_EQ(found.header.model.device, "a device");
    EXPECT_EQ(found.header.model.dtype, "float32");
    ASSERT_EQ(found.rows.size(), 4U);
    ASSERT_EQ(expected.rows.size(), found.rows.size());
    for (std::size_t row = 0; row < found.rows.size(); ++row) {
        SCOPED_TRACE(found.rows[row].method.spec);
        const ResultOutcome& a = *expected.rows[row].outcome;
        const ResultOutcome& b = *found.rows[row].outcome;
        EXPECT_EQ(b.ids, a.ids);
        EXPECT_EQ(b.realisedPerLayer, a.realisedPerLayer);
        EXPECT_NEAR(b.nllGoldSum, a.nllGoldSum, 1e-3);
        EXPECT_NEAR(b.klToFull.value_or(0.0), a.klToFull.value_or(0.0), 1e-4);
    }
}

TEST(DeviceLiveModel, FewerHeadsAreTriedBeforeMemoryIsMissing)
{
    std::vector<int> tried;
    const auto make = [&](int fitting) {
        return [&tried, fitting](int count) {
            tried.push_back(count);
            TORCH_CHECK(count <= fitting, "CUDA out of memory. Tried to allocate ", count, " GiB");
            return count;
        };
    };
    int count = 13;
    EXPECT_EQ(asManyAsFit(count, make(4)), 3);
    EXPECT_EQ(count, 3);
    EXPECT_EQ(tried, (std::vector{13, 6, 3}));
    try {
        asManyAsFit(count, make(0));
        FAIL();
    } catch (const DeviceMemoryError& error) {
        EXPECT_STREQ(error.what(), "device: CUDA out of memory. Tried to allocate 1 GiB");
    }
}

TEST(DeviceLiveModel, InBfloat16PredictionsAreClose)
{
    const BothModels models(ComputeType::Bfloat16);
    const std::vector<Method> methods{
        parseMethod("full"), parseMethod("streaming_llm:pos_mode=rerotate,phase=every_step")};
    BothPrompts both(models, methods, "0.5");
    double largest = 0.0;
    for (int step = 0; step < 40; ++step) {
        const std::vector<std::int32_t> tokens(methods.size(), step % 200 + 3);
        const auto a = BatchDecoder(models.cpu).step(pointersTo(both.expected), tokens);
        const auto b = BatchDecoder(models.device).step(pointersTo(both.found), tokens);
        largest = std::max(largest, largestDifference(a, b));
    }
    EXPECT_LT(largest, 0.5);
    EXPECT_GT(largest, 1e-3) << "were the weights rounded at all?";
}

} // namespace
} // namespace kvloupe::cuda
