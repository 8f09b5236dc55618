// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/device_weights.h"

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/model/task_runner.h"
#include "host_kernels.h"
#include "tests/capture/checkpoint/tiny_llama.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

namespace kvloupe::cuda {
namespace {

DeviceWeights loaded(const Checkpoint& checkpoint, const std::shared_ptr<const Adapter>& adapter,
    WeightPlacement placement, at::ScalarType type)
{
    TaskRunner runner(2);
    HostKernels kernels;
    DeviceWeights weights;
    runner.enter([&] {
        const ModelWeights source = loadWeights(checkpoint, adapter, placement, runner, {});
        weights = copyWeights(source, kernels, at::kCPU, type, runner, {});
    });
    EXPECT_TRUE(kernels.isIdle());
    EXPECT_EQ(kernels.allocations > 0, placement == WeightPlacement::Streamed) << "where were they dequantised?";
    return weights;
}

void expectSame(const at::Tensor& found, const at::Tensor& expected)
{
    ASSERT_EQ(found.defined(), expected.defined());
    if (expected.defined()) {
        EXPECT_EQ(found.scalar_type(), expected.scalar_type());
        EXPECT_TRUE(at::equal(found, expected));
    }
}

/// Streamed weights, which the kernel dequantises, against resident ones, which were dequantised on the host.
void expectTheHostsWeights(const Checkpoint& checkpoint, const std::shared_ptr<const Adapter>& adapter)
{
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
        SCOPED_TRACE(testing::Message() << checkpoint.path() << " as " << at::toString(type));
        const DeviceWeights found = loaded(checkpoint, adapter, WeightPlacement::Streamed, type);
        const DeviceWeights expected = loaded(checkpoint, adapter, WeightPlacement::Resident, type);
        expectSame(found.embedding, expected.embedding);
        expectSame(found.finalNorm, expected.finalNorm);
        expectSame(found.logits.weight, expected.logits.weight);
        ASSERT_EQ(found.layers.size(), expected.layers.size());
        for (std::size_t i = 0; i < found.layers.size(); ++i) {
            const DeviceLayerWeights& a = found.layers[i];
            const DeviceLayerWeights& b = expected.layers[i];
            expectSame(a.attentionNorm, b.attentionNorm);
            expectSame(a.qkv.weight, b.qkv.weight);
            expectSame(a.qkv.bias, b.qkv.bias);
            expectSame(a.output.weight, b.output.weight);
            expectSame(a.gate.weight, b.gate.weight);
            expectSame(a.up.weight, b.up.weight);
            expectSame(a.down.weight, b.down.weight);
        }
    }
}

TEST(DeviceWeights, AreThoseOfTheHostRoundedOnce)
{
    expectTheHostsWeights(*Checkpoint::open(tinyLlamaFolder()), nullptr);
    expectTheHostsWeights(*Checkpoint::open(tinyLlamaGguf()), nullptr); // query and key rows are permuted there
}

TEST(DeviceWeights, ThatAnAdapterChangesAreMergedOnTheHost)
{
    const TemporaryFolder folder;
    const auto checkpoint = Checkpoint::open(tinyLlamaGguf());
    const TensorInfo& keys = *checkpoint->find("model.layers.1.self_attn.k_proj.weight");
    AdapterWeights weights;
    weights.rank = 1;
    weights.alpha = 2.0;
    AdapterModule& module = weights.modules.emplace_back();
    module.name = "model.layers.1.self_attn.k_proj";
    module.outputs = keys.rows();
    module.inputs = keys.rowLength();
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    for (std::int64_t i = 0; i < module.inputs; ++i)
        module.down.push_back(normal(random));
    for (std::int64_t i = 0; i < module.outputs; ++i)
        module.up.push_back(normal(random));
    writeAdapter(folder.path() / "a", weights, {{"name", "a"}}, DataType::F32);
    const auto adapter = Adapter::read(folder.path() / "a");
    expectTheHostsWeights(*checkpoint, adapter);
    EXPECT_FALSE(at::equal(loaded(*checkpoint, adapter, WeightPlacement::Streamed, at::kFloat).layers[1].qkv.weight,
        loaded(*checkpoint, nullptr, WeightPlacement::Streamed, at::kFloat).layers[1].qkv.weight));
}

TEST(DeviceWeights, ThatAreNotFiniteAreNamedAsOnTheHost)
{
    const TemporaryFolder folder;
    GgufBuilder builder = zeroLlama();
    const float infinity = std::numeric_limits<float>::infinity();
    std::memcpy(
        builder.tensor("blk.0.attn_k.weight").data.data() + (5 * 32 + 17) * sizeof(float), &infinity, sizeof infinity);
    const auto checkpoint = Checkpoint::open(folder.write("model.gguf", builder.bytes()));
    const auto message = [&](WeightPlacement placement) -> std::string {
        try {
            loaded(*checkpoint, nullptr, placement, at::kBFloat16);
        } catch (const CheckpointError& error) {
            return error.what();
        }
        return "";
    };
    const std::string found = message(WeightPlacement::Streamed);
    EXPECT_NE(found.find("self_attn.k_proj.weight"), std::string::npos) << found;
    EXPECT_NE(found.find("column 17: found inf"), std::string::npos) << found;
    EXPECT_EQ(found, message(WeightPlacement::Resident));
}

} // namespace
} // namespace kvloupe::cuda
