// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/model_config.h"
#include "capture/checkpoint/model_estimate.h"

#include "capture/checkpoint/gguf_file.h"
#include "tests/capture/checkpoint/tiny_llama.h"

#include <cmath>

namespace kvloupe {
namespace {

using nlohmann::json;

json tinyConfig()
{
    return json::parse(readBytes(tinyLlamaFolder() / "config.json"));
}

ModelConfig configOf(const json& document)
{
    const TemporaryFolder folder;
    folder.write("config.json", document.dump());
    return configFromFolder(folder.path());
}

TEST(ModelConfig, IsTheSameFromGgufAndFromJson)
{
    const ModelConfig fromJson = configFromFolder(tinyLlamaFolder());
    const ModelConfig fromGguf = configFromGguf(GgufFile(tinyLlamaGguf()));
    for (const ModelConfig& config : {fromJson, fromGguf}) {
        EXPECT_EQ(config.numLayers, 2);
        EXPECT_EQ(config.numHeads, 4);
        EXPECT_EQ(config.numKvHeads, 2);
        EXPECT_EQ(config.queriesPerKvHead(), 2);
        EXPECT_EQ(config.headDim, 8);
        EXPECT_EQ(config.intermediateSize, 48);
        EXPECT_EQ(config.vocabSize, 64);
        EXPECT_EQ(config.maxPositions, 256);
        EXPECT_EQ(config.rmsNormEps, 1e-5);
        EXPECT_EQ(config.rope(0).theta, 10000.0);
        EXPECT_FALSE(config.tiedEmbeddings);
        EXPECT_TRUE(config.qkvBias);
        EXPECT_TRUE(config.outputBias);
        EXPECT_FALSE(config.mlpBias);
        EXPECT_EQ(config.bosId, 1);
        EXPECT_EQ(config.eosIds, (std::vector<std::int32_t>{2, 3}));
        EXPECT_TRUE(json::accept(config.json));
    }
}

TEST(ModelConfig, GivesTheRotaryFrequenciesOfThePaper)
{
    ModelConfig config = configOf(tinyConfig());
    const std::vector<double> expected = {1, 0.1, 0.01, 0.001}; // 10000^(-2i/8)
    const auto found = config.rope(1).frequenciesOf(1000);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
        EXPECT_FLOAT_EQ(found[i], static_cast<float>(expected[i]));
}

TEST(ModelConfig, ReadsRopeScalingOfEitherGenerationOfTransformers)
{
    json document = tinyConfig();
    document["rope_scaling"] = {{"type", "linear"}, {"factor", 4.0}};
    EXPECT_FLOAT_EQ(configOf(document).rope(0).frequencies[1], 0.025F);
    document["rope_scaling"] = nullptr;
    EXPECT_FLOAT_EQ(configOf(document).rope(0).frequencies[1], 0.1F);
    document["rope_scaling"] = {{"rope_type", "default"}};
    EXPECT_FLOAT_EQ(configOf(document).rope(0).frequencies[1], 0.1F);
    document.erase("rope_theta");
    document.erase("rope_scaling");
    document["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 500000.0}};
    EXPECT_EQ(configOf(document).rope(0).theta, 500000.0);
}

TEST(ModelConfig, ScalesRopeAsLlama3Does)
{
    // transformers 5.23, ROPE_INIT_FUNCTIONS["llama3"], for theta 500000 and head_dim 16.
    const std::vector<double> expected = {1.0, 0.193922758102417, 0.03760603070259094, 0.00729266507551074,
        0.0005248460220173001, 3.428102354519069e-05, 6.647869668086059e-06, 1.289173155782919e-06};
    json document = tinyConfig();
    document["head_dim"] = 16;
    document["rope_theta"] = 500000.0;
    document["rope_scaling"] = {{"rope_type", "llama3"}, {"factor", 8.0}, {"low_freq_factor", 1.0},
        {"high_freq_factor", 4.0}, {"original_max_position_embeddings", 8192}};
    const auto found = configOf(document).rope(0).frequencies;
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
        EXPECT_NEAR(static_cast<double>(found[i]) / expected[i], 1, 2e-7) << i;
}

TEST(ModelConfig, TakesRopeFactorsFromAGgufTensor)
{
    const TemporaryFolder folder;
    GgufBuilder builder = zeroLlama();
    std::string factors;
    for (int i = 0; i < 8; ++i)
        factors += GgufBuilder::raw(i < 4 ? 1.0f : 8.0f);
    builder.tensors.push_back({"rope_freqs.weight", {8}, 0, factors, -1});
    builder.write(folder.path() / "scaled.gguf");
    const auto checkpoint = Checkpoint::open(folder.path() / "scaled.gguf");
    EXPECT_FLOAT_EQ(checkpoint->config().rope(0).frequencies[3], std::pow(10000.0F, -0.375F));
    EXPECT_FLOAT_EQ(checkpoint->config().rope(0).frequencies[4], 0.01F / 8);
    builder.add("llama.rope.scaling.type", "linear").add("llama.rope.scaling.factor", 2.0f);
    builder.write(folder.path() / "scaled.gguf");
    EXPECT_FLOAT_EQ(Checkpoint::open(folder.path() / "scaled.gguf")->config().rope(0).frequencies[4], 0.01F / 16);
}

TEST(ModelConfig, PrefersTheEndOfSequenceIdsOfTheGenerationConfig)
{
    const TemporaryFolder folder;
    folder.write("config.json", tinyConfig().dump());
    folder.write("generation_config.json", R"({"eos_token_id": 7})");
    EXPECT_EQ(configFromFolder(folder.path()).eosIds, std::vector<std::int32_t>{7});
}

TEST(ModelConfig, ListsWhatTheArchitectureNeeds)
{
    const auto required = requiredTensors(configOf(tinyConfig()));
    EXPECT_EQ(required.size(), 29u);
    json tied = tinyConfig();
    tied["tie_word_embeddings"] = true;
    tied["attention_bias"] = false;
    tied["mlp_bias"] = true;
    EXPECT_EQ(requiredTensors(configOf(tied)).size(), 29u - 1 - 2 * 4 + 2 * 3);
}

TEST(ModelEstimate, CountsWhatTheConfigurationImplies)
{
    ModelConfig config;
    config.numLayers = 2;
    config.numHeads = 4;
    config.numKvHeads = 2;
    config.headDim = 8;
    config.hiddenSize = 32;
    config.intermediateSize = 48;
    config.vocabSize = 64;
    const ModelEstimate apart = estimateModel(config);
    const std::int64_t layer = 2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 48;
    EXPECT_EQ(apart.parameters, 2 * 64 * 32 + 2 * (layer + 2 * 32) + 32);
    EXPECT_EQ(apart.weightBytes, apart.parameters * 4);
    EXPECT_EQ(apart.cacheBytesPerToken, 2 * 2 * 2 * 8 * 4);
    EXPECT_EQ(apart.matrixFlopsPerToken, 2.0 * static_cast<double>(2 * layer + 64 * 32));
    EXPECT_EQ(apart.prefillFlops(3), 3 * apart.matrixFlopsPerToken + 6 * 4 * 2 * 4 * 8);
    config.tiedEmbeddings = true;
    EXPECT_EQ(estimateModel(config).parameters, apart.parameters - 64 * 32);
    EXPECT_EQ(estimateModel(config).matrixFlopsPerToken, apart.matrixFlopsPerToken);
}

} // namespace
} // namespace kvloupe
