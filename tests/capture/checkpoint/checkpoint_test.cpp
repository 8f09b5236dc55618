// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/checkpoint.h"

#include "capture/checkpoint/architecture.h"
#include "capture/checkpoint/checkpoint_summary.h"
#include "capture/checkpoint/gguf_checkpoint.h"
#include "capture/checkpoint/sha256.h"
#include "tests/capture/checkpoint/tiny_llama.h"
#include "tests/support/test_model.h"

#include <gmock/gmock.h>

#include <cmath>
#include <thread>

namespace kvloupe {
namespace {

TEST(Checkpoint, ReadsTheSameWeightsFromGgufAndFromShards)
{
    const auto gguf = Checkpoint::open(tinyLlamaGguf());
    const auto shards = Checkpoint::open(tinyLlamaFolder());
    EXPECT_EQ(gguf->format(), "GGUF v3");
    EXPECT_EQ(shards->format(), "safetensors");
    ASSERT_EQ(gguf->tensors().size(), shards->tensors().size());
    ASSERT_EQ(gguf->tensors().size(), 29u);
    for (const TensorInfo& tensor : shards->tensors()) {
        ASSERT_NE(gguf->find(tensor.name), nullptr) << tensor.name;
        EXPECT_EQ(gguf->find(tensor.name)->shape, tensor.shape);
        const auto values = shards->readFloat32(tensor.name);
        EXPECT_EQ(gguf->readFloat32(tensor.name), values) << tensor.name;
        // The maker wrote multiples of 1/64 between -127/64 and 127/64.
        EXPECT_TRUE(std::ranges::all_of(
            values, [](float value) { return value * 64 == std::round(value * 64) && std::abs(value) < 2; }));
    }
    EXPECT_EQ(shards->find("lm_head.weight")->type, DataType::BF16);
}

TEST(Checkpoint, ReadsAnyRangeOfRows)
{
    for (const auto& path : {tinyLlamaGguf(), tinyLlamaFolder()}) {
        const auto checkpoint = Checkpoint::open(path);
        for (const char* const name :
            {"model.layers.1.self_attn.q_proj.weight", "model.layers.0.mlp.down_proj.weight"}) {
            const auto all = checkpoint->readFloat32(name);
            const auto length = static_cast<std::size_t>(checkpoint->find(name)->rowLength());
            for (const auto& [begin, end] : {std::pair{0, 1}, {5, 13}, {31, 32}, {7, 7}, {0, 32}}) {
                std::vector<float> some(static_cast<std::size_t>(end - begin) * length);
                checkpoint->readFloat32(name, begin, end, some);
                EXPECT_TRUE(
                    std::equal(some.begin(), some.end(), all.begin() + static_cast<std::ptrdiff_t>(begin * length)));
            }
        }
    }
}

TEST(Checkpoint, RefusesRowsAndNamesThatAreNotThere)
{
    const auto checkpoint = Checkpoint::open(tinyLlamaGguf());
    std::vector<float> row(32);
    const auto read = [&](const char* name, std::int64_t begin, std::int64_t end) {
        return [&, name, begin, end] { checkpoint->readFloat32(name, begin, end, row); };
    };
    using testing::HasSubstr;
    using testing::ThrowsMessage;
    EXPECT_THAT(
        read("no.such\nweight", 0, 1), ThrowsMessage<CheckpointError>(HasSubstr("has no tensor 'no.such\\x0aweight'")));
    EXPECT_THAT(
        read("lm_head.weight", 63, 65), ThrowsMessage<CheckpointError>(HasSubstr("rows [63, 65) are outside its 64")));
    EXPECT_THAT(read("lm_head.weight", -1, 0), ThrowsMessage<CheckpointError>(HasSubstr("outside")));
    EXPECT_THAT(read("lm_head.weight", 2, 1), ThrowsMessage<CheckpointError>(HasSubstr("outside")));
    EXPECT_THAT(read("lm_head.weight", 0, 2), ThrowsMessage<CheckpointError>(HasSubstr("room for 32 values")));
    EXPECT_THAT(read("model.norm.weight", 0, 2), ThrowsMessage<CheckpointError>(HasSubstr("outside its 1 rows")));
    EXPECT_NO_THROW(read("model.norm.weight", 0, 1)());
}

TEST(Checkpoint, IsReadByManyThreadsAtOnce)
{
    const auto checkpoint = Checkpoint::open(tinyLlamaGguf());
    const auto expected = checkpoint->readFloat32("model.layers.0.self_attn.k_proj.weight");
    std::vector<std::vector<float>> found(8);
    {
        std::vector<std::jthread> threads;
        for (auto& values : found)
            threads.emplace_back([&] {
                for (int i = 0; i < 50; ++i)
                    values = checkpoint->readFloat32("model.layers.0.self_attn.k_proj.weight");
            });
    }
    for (const auto& values : found)
        EXPECT_EQ(values, expected);
}

TEST(Checkpoint, HashesOneFileAsItIsAndShardsAsAListOfHashes)
{
    EXPECT_EQ(Checkpoint::open(tinyLlamaGguf())->sha256(), sha256Hex(readBytes(tinyLlamaGguf())));
    std::string list;
    for (const char* const name :
        {"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors"})
        list += sha256Hex(readBytes(tinyLlamaFolder() / name)) + "  " + name + "\n";
    EXPECT_EQ(Checkpoint::open(tinyLlamaFolder())->sha256(), sha256Hex(list));
    // FIPS 180-4, the example of one block.
    EXPECT_EQ(sha256Hex(std::string_view("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Checkpoint, TakesOneUnshardedFile)
{
    const TemporaryFolder folder;
    const auto header = [](const std::string& json) { return GgufBuilder::raw<std::uint64_t>(json.size()) + json; };
    nlohmann::json tensors;
    std::size_t at = 0;
    std::string data;
    const auto shards = Checkpoint::open(tinyLlamaFolder());
    for (const TensorInfo& tensor : shards->tensors()) {
        const auto values = shards->readFloat32(tensor.name);
        data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
        tensors[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {at, data.size()}}};
        at = data.size();
    }
    // Buffers that old versions of transformers saved beside the weights.
    tensors["model.layers.0.self_attn.position_ids"]
        = {{"dtype", "I64"}, {"shape", {1, 2}}, {"data_offsets", {at, at + 16}}};
    data.append(16, '\0');
    folder.write("model.safetensors", header(tensors.dump()) + data);
    folder.write("config.json", readBytes(tinyLlamaFolder() / "config.json"));
    const auto single = Checkpoint::open(folder.path());
    EXPECT_EQ(single->readFloat32("lm_head.weight"), shards->readFloat32("lm_head.weight"));
    EXPECT_EQ(single->sha256(), sha256Hex(readBytes(folder.path() / "model.safetensors")));
    EXPECT_EQ(single->find("model.layers.0.self_attn.position_ids"), nullptr);
}

TEST(Checkpoint, NamesTensorsAsHuggingFaceDoes)
{
    const auto nameOf = [](const char* architecture, std::string_view name) {
        return huggingFaceName(*findArchitecture(architecture), name);
    };
    EXPECT_EQ(nameOf("llama", "token_embd.weight"), "model.embed_tokens.weight");
    EXPECT_EQ(nameOf("llama", "output.weight"), "lm_head.weight");
    EXPECT_EQ(nameOf("llama", "blk.17.ffn_norm.weight"), "model.layers.17.post_attention_layernorm.weight");
    EXPECT_EQ(nameOf("llama", "blk.3.attn_q.bias"), "model.layers.3.self_attn.q_proj.bias");
    EXPECT_EQ(nameOf("llama", "rope_freqs.weight"), "rope_freqs.weight");
    EXPECT_EQ(nameOf("llama", "blk.3.ffn_gate_inp.weight"), "blk.3.ffn_gate_inp.weight");
    EXPECT_EQ(nameOf("qwen3", "blk.3.attn_q_norm.weight"), "model.layers.3.self_attn.q_norm.weight");
    EXPECT_EQ(nameOf("phi3", "blk.3.attn_qkv.weight"), "model.layers.3.self_attn.qkv_proj.weight");
    EXPECT_EQ(nameOf("phi3", "blk.3.ffn_up.weight"), "model.layers.3.mlp.gate_up_proj.weight");
    EXPECT_EQ(nameOf("gemma3", "blk.3.ffn_norm.weight"), "model.layers.3.pre_feedforward_layernorm.weight");
    EXPECT_EQ(nameOf("gemma3", "blk.3.post_attention_norm.weight"), "model.layers.3.post_attention_layernorm.weight");
    EXPECT_EQ(nameOf("gemma3", "blk.3.post_ffw_norm.weight"), "model.layers.3.post_feedforward_layernorm.weight");
    for (const char* const odd : {"", ".", "blk.", "blk..", "blk.1", "blk.1.weight", "noDot"})
        EXPECT_EQ(nameOf("llama", odd), odd);
}

TEST(Checkpoint, OpensTheRealModel)
{
    KVLOUPE_SKIP_WITHOUT_TEST_MODEL();
    const auto checkpoint = Checkpoint::open(testModelPath());
    const ModelConfig& config = checkpoint->config();
    EXPECT_EQ(config.architecture, "llama");
    EXPECT_EQ(config.numLayers, 30);
    EXPECT_EQ(config.numHeads, 9);
    EXPECT_EQ(config.numKvHeads, 3);
    EXPECT_EQ(config.headDim, 64);
    EXPECT_EQ(config.hiddenSize, 576);
    EXPECT_EQ(config.intermediateSize, 1536);
    EXPECT_EQ(config.vocabSize, 49152);
    EXPECT_EQ(config.maxPositions, 8192);
    EXPECT_EQ(config.rmsNormEps, 1e-5);
    EXPECT_EQ(config.rope(29).theta, 100000);
    EXPECT_TRUE(config.tiedEmbeddings);
    EXPECT_FALSE(config.qkvBias);
    EXPECT_EQ(config.bosId, 1);
    EXPECT_EQ(config.eosIds, std::vector<std::int32_t>{2});
    EXPECT_EQ(checkpoint->tensors().size(), 272u);
    EXPECT_NE(checkpoint->chatTemplate().find("<|im_start|>"), std::string::npos);
    EXPECT_EQ(checkpoint->sha256(), "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53");
    const auto norm = checkpoint->readFloat32("model.norm.weight");
    EXPECT_EQ(norm.size(), 576u);
}

TEST(CheckpointSummary, SaysWhatAFileHoldsAndWhyItCannotBeRun)
{
    const TemporaryFolder folder;
    GgufBuilder builder = zeroLlama();
    builder.tensor("blk.0.attn_q.weight").type = 17;
    builder.write(folder.path() / "quantised.gguf");
    const CheckpointSummary summary = summarizeCheckpoint(folder.path() / "quantised.gguf");
    EXPECT_EQ(summary.format, "GGUF v3");
    EXPECT_EQ(summary.tensors, 11);
    EXPECT_EQ(summary.tensorsByType.at("IQ2_XS"), 1);
    ASSERT_TRUE(summary.config.has_value());
    EXPECT_EQ(summary.config->headDim, 16);
    EXPECT_NE(summary.problem.find("type IQ2_XS is not supported"), std::string::npos);
    const CheckpointSummary good = summarizeCheckpoint(tinyLlamaFolder());
    EXPECT_EQ(good.problem, "");
    EXPECT_EQ(good.parameters, 19808);
    EXPECT_THROW(summarizeCheckpoint(folder.path() / "absent"), CheckpointError);
    folder.write("noise", "not a model at all");
    EXPECT_NE(summarizeCheckpoint(folder.path() / "noise").problem.find("is not a GGUF file"), std::string::npos);
}

} // namespace
} // namespace kvloupe
