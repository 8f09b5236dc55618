// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/device_needs.h"

#include "capture/checkpoint/checkpoint.h"
#include "capture/cuda/cuda_capture.h"
#include "tests/support/byte_llama.h"

#include <gtest/gtest.h>

namespace kvloupe::cuda {
namespace {

class DeviceNeedsTest : public testing::Test {
protected:
    TemporaryFolder m_folder;
    std::unique_ptr<Checkpoint> m_checkpoint = Checkpoint::open(writeByteLlama(m_folder, {.headDim = 64}));
    DeviceRun m_run{.promptTokens = 1000, .totalTokens = 1010, .workBytes = 1 << 30, .ringBytes = 77};
};

TEST_F(DeviceNeedsTest, CountsWeightsCacheAndBuffers)
{
    const DeviceNeeds needs = deviceNeeds(m_checkpoint->config(), m_run);
    std::uint64_t parameters = 0;
    for (const TensorInfo& tensor : m_checkpoint->tensors())
        parameters += static_cast<std::uint64_t>(tensor.rows() * tensor.rowLength());
    EXPECT_EQ(needs.weights, 2 * parameters);
    EXPECT_EQ(needs.cache, 2U * 2 * 2 * 64 * 1010 * 2); // keys and values, layers, heads, dimensions, tokens, bytes
    EXPECT_EQ(needs.ring, 77U);
    EXPECT_EQ(needs.total(), needs.weights + needs.cache + needs.activations + needs.work + needs.ring);
    // At least the residual stream and what projects to queries, keys and values.
    EXPECT_GT(needs.activations, 1000U * (32 + 8 * 64) * 2);
    m_run.elementBytes = 4;
    const DeviceNeeds wide = deviceNeeds(m_checkpoint->config(), m_run);
    EXPECT_EQ(wide.weights, 2 * needs.weights);
    EXPECT_EQ(wide.cache, 2 * needs.cache);
}

TEST_F(DeviceNeedsTest, WorkSpaceIsThatOfTheHeadsThatFit)
{
    // Levels 4 and 8 (the overview): statistics, two halves a cell, sums of 8 blocks of rows, two floats by 4 x 4.
    const std::uint64_t head = 5 * 4 * 1000 + 4 * (250 * 250 + 125 * 125) + 4 * 8 * 1000 + 8 * 250 * 250;
    EXPECT_EQ(deviceNeeds(m_checkpoint->config(), m_run).work, 4 * head);
    m_run.workBytes = 3 * head - 1;
    EXPECT_EQ(deviceNeeds(m_checkpoint->config(), m_run).work, 2 * head);
    m_run.workBytes = 1;
    EXPECT_EQ(deviceNeeds(m_checkpoint->config(), m_run).work, head);
    m_run.kind = RecordKind::Statistics;
    EXPECT_EQ(deviceNeeds(m_checkpoint->config(), m_run).work, 4U * (4 * 4 * 1000 + 256 * 1010));
    EXPECT_EQ(deviceNeeds(m_checkpoint->config(), m_run).ring, 0U);
}

TEST_F(DeviceNeedsTest, BytesToTheHostGrowByWhatIsRecorded)
{
    const ModelConfig& config = m_checkpoint->config();
    const std::uint64_t vectors = 2U * 4 * 1010 * (2 * 4 + 2 * 2) * 64;
    const std::uint64_t full = bytesToHost(config, m_run, 5000);
    EXPECT_GT(full, vectors + 5000);
    EXPECT_EQ(bytesToHost(config, m_run, 0), full - 5000);
    m_run.kind = RecordKind::Statistics; // whole rows in float32
    EXPECT_GT(bytesToHost(config, m_run, 0), vectors + 2U * 4 * 4 * 1000 * 1000 / 2);
}

TEST_F(DeviceNeedsTest, AreToldWithoutAGpu)
{
    const auto device = estimateCuda(ComputeType::Bfloat16);
    DeviceJob job;
    job.longestPrompt = 1000;
    job.generated = 10;
    job.prompts = {1000, 500};
    job.mapBytes = 1 << 20;
    const DeviceCost cost = device->cost(*m_checkpoint, job);
    EXPECT_EQ(cost.memory.front().first, "weights");
    EXPECT_EQ(cost.toDevice, 2 * cost.memory.front().second) << "the file has float32";
    m_run.workBytes = LayerRecorder::Limits().workBytes;
    DeviceRun shorter = m_run;
    shorter.promptTokens = 500;
    shorter.totalTokens = 510;
    EXPECT_EQ(cost.toHost,
        bytesToHost(m_checkpoint->config(), m_run, 1 << 20) + bytesToHost(m_checkpoint->config(), shorter, 0));
}

} // namespace
} // namespace kvloupe::cuda
