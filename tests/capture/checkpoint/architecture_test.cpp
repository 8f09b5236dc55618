// SPDX-License-Identifier: GPL-3.0-or-later

// Configurations and tensors of every architecture, held to what Hugging Face transformers makes of them.

#include "capture/checkpoint/architecture.h"
#include "tests/capture/checkpoint/tiny_llama.h"
#include "tests/support/architecture_reference.h"

#include <algorithm>
#include <cmath>

namespace kvloupe {
namespace {

using nlohmann::json;

/// Largest relative difference.
float distance(std::span<const float> a, std::span<const float> b)
{
    EXPECT_EQ(a.size(), b.size());
    float largest = 0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        largest = std::max(largest, std::abs(a[i] - b[i]) / b[i]);
    return largest;
}

/// Two roundings of float32: frequencies are computed in float32, and nobody's power function is exact.
constexpr float twoRoundings = 2.4e-7F;

TEST(Architectures, ReadPublishedConfigurationsAsTransformersDoes)
{
    const ArchitectureFile file;
    const auto names = file.members("published");
    EXPECT_EQ(names.size(), 16u);
    for (const std::string& name : names) {
        SCOPED_TRACE(name);
        const std::string group = "published/" + name;
        const TemporaryFolder folder;
        folder.write("config.json", file.text(group, "config"));
        const ModelConfig config = configFromFolder(folder.path());
        const json sizes = json::parse(file.text(group, "sizes"));
        EXPECT_EQ(config.numLayers, sizes["layers"]);
        EXPECT_EQ(config.numHeads, sizes["heads"]);
        EXPECT_EQ(config.numKvHeads, sizes["kv_heads"]);
        EXPECT_EQ(config.headDim, sizes["head_dim"]);
        EXPECT_EQ(config.hiddenSize, sizes["hidden"]);
        EXPECT_EQ(config.intermediateSize, sizes["intermediate"]);
        EXPECT_EQ(config.vocabSize, sizes["vocab"]);
        EXPECT_EQ(config.rmsNormEps, sizes["eps"]);
        EXPECT_EQ(config.tiedEmbeddings, sizes["tied"].get<bool>());
        std::vector<std::int64_t> windows;
        for (const LayerOptions& layer : config.layers)
            windows.push_back(layer.window);
        EXPECT_EQ(windows, sizes["windows"].get<std::vector<std::int64_t>>());

        const RopeVariant& rope = config.ropes.at(0);
        EXPECT_LE(distance(rope.frequencies, file.floats(group + "/full")), twoRoundings);
        EXPECT_NEAR(rope.attentionScaling, file.number(group + "/full", "scaling"), 1e-12);
        if (file.has(group + "/sliding")) {
            EXPECT_LE(distance(config.ropes.at(1).frequencies, file.floats(group + "/sliding")), twoRoundings);
        }
        EXPECT_EQ(file.has(group + "/long"), !rope.longFrequencies.empty());
        if (file.has(group + "/long")) {
            EXPECT_LE(distance(rope.longFrequencies, file.floats(group + "/long")), twoRoundings);
        }
    }
}

ModelConfig published(const std::string& name)
{
    const ArchitectureFile file;
    const TemporaryFolder folder;
    folder.write("config.json", file.text("published/" + name, "config"));
    return configFromFolder(folder.path());
}

TEST(Architectures, KnowWhatTheirConfigurationsDoNotSay)
{
    EXPECT_TRUE(published("Qwen2.5-7B-Instruct").qkvBias);
    EXPECT_FALSE(published("Qwen2.5-7B-Instruct").outputBias);
    EXPECT_FALSE(published("Llama-3.1-8B").qkvBias);
    EXPECT_TRUE(published("Qwen3-8B").qkNorm);
    EXPECT_TRUE(published("Phi-3-mini-4k-instruct").fusedProjections);
    const ModelConfig gemma = published("gemma-3-27b-it");
    EXPECT_EQ(gemma.architecture, "gemma3");
    EXPECT_EQ(gemma.activation, Activation::GeluTanh);
    EXPECT_TRUE(gemma.qkNorm && gemma.outputNorms);
    EXPECT_EQ(gemma.normOffset, 1);
    EXPECT_EQ(gemma.embeddingScale, std::sqrt(5376.0));
    EXPECT_EQ(gemma.attentionScale, 1 / std::sqrt(168.0));
    EXPECT_EQ(published("gemma-3-4b-it").attentionScale, 1.0 / 16);
    EXPECT_EQ(published("gemma-3-4b-it").eosIds, (std::vector<std::int32_t>{1, 106}));
    const ModelConfig smollm3 = published("SmolLM3-3B");
    for (int layer = 0; layer < smollm3.numLayers; ++layer)
        EXPECT_EQ(smollm3.rope(layer).scaling, layer % 4 == 3 ? "none" : "default") << layer;
}

TEST(Architectures, SayHowFarScalingExtendsTheContext)
{
    EXPECT_EQ(published("Llama-3.1-8B").maxPositions, 131072);
    EXPECT_EQ(published("Phi-3-mini-128k-instruct").maxPositions, 131072);
    EXPECT_EQ(published("gemma-3-4b-it").maxPositions, 131072);
    EXPECT_EQ(published("Qwen2.5-7B-Instruct").maxPositions, 32768);
    EXPECT_EQ(published("Qwen2.5-7B-Instruct with YaRN").maxPositions, 131072);
    json llama = json::parse(readBytes(tinyLlamaFolder() / "config.json"));
    const TemporaryFolder folder;
    for (const char* const type : {"linear", "dynamic"}) {
        llama["rope_scaling"] = {{"type", type}, {"factor", 4}};
        folder.write("config.json", llama.dump());
        EXPECT_EQ(configFromFolder(folder.path()).maxPositions, 1024);
    }
}

TEST(Architectures, HaveOneModelInEveryFormItIsStored)
{
    const ArchitectureFile file;
    int ggufs = 0;
    for (const std::string& name : file.members("cases")) {
        SCOPED_TRACE(name);
        const ArchitectureCase reference(name);
        const TemporaryFolder folder;
        const auto newer = Checkpoint::open(reference.writeFolder(folder));
        const auto older = Checkpoint::open(reference.writeFolder(folder, true));
        std::vector<const Checkpoint*> others = {older.get()};
        std::unique_ptr<Checkpoint> gguf;
        if (!reference.gguf.empty()) {
            gguf = Checkpoint::open(reference.writeGguf(folder));
            others.push_back(gguf.get());
            ++ggufs;
        }
        const ModelConfig& config = newer->config();
        for (const Checkpoint* const other : others) {
            const ModelConfig& found = other->config();
            EXPECT_EQ(found.numLayers, config.numLayers);
            EXPECT_EQ(found.numHeads, config.numHeads);
            EXPECT_EQ(found.numKvHeads, config.numKvHeads);
            EXPECT_EQ(found.headDim, config.headDim);
            EXPECT_EQ(found.vocabSize, config.vocabSize);
            EXPECT_EQ(found.maxPositions, config.maxPositions);
            EXPECT_EQ(found.rmsNormEps, config.rmsNormEps);
            EXPECT_EQ(found.activation, config.activation);
            EXPECT_EQ(found.attentionScale, config.attentionScale);
            EXPECT_EQ(found.tiedEmbeddings, config.tiedEmbeddings);
            EXPECT_EQ(found.embeddingScale, config.embeddingScale);
            EXPECT_EQ(found.qkvBias, config.qkvBias);
            EXPECT_EQ(found.outputBias, config.outputBias);
            EXPECT_EQ(found.mlpBias, config.mlpBias);
            EXPECT_EQ(found.fusedProjections, config.fusedProjections);
            EXPECT_EQ(found.qkNorm, config.qkNorm);
            EXPECT_EQ(found.outputNorms, config.outputNorms);
            for (int layer = 0; layer < config.numLayers; ++layer) {
                EXPECT_EQ(found.window(layer), config.window(layer)) << layer;
                const RopeVariant& rope = config.rope(layer);
                EXPECT_EQ(found.rope(layer).scaling, rope.scaling) << layer;
                EXPECT_NEAR(found.rope(layer).attentionScaling, rope.attentionScaling, 1e-7) << layer;
                EXPECT_EQ(found.rope(layer).originalContext, rope.originalContext) << layer;
                if (rope.scaling != "none") {
                    EXPECT_LE(distance(found.rope(layer).frequencies, rope.frequencies), twoRoundings) << layer;
                }
            }
            for (const auto& [tensor, shape] : requiredTensors(config)) {
                std::vector<float> values = other->readFloat32(tensor);
                const bool isNorm = tensor.find("norm.weight") != std::string::npos;
                for (float& value : values)
                    value += static_cast<float>(isNorm ? found.normOffset - config.normOffset : 0);
                EXPECT_EQ(values, newer->readFloat32(tensor)) << tensor;
            }
        }
    }
    EXPECT_EQ(ggufs, 10);
}

TEST(Architectures, ListThemselvesInOrder)
{
    const auto known = knownArchitectures();
    EXPECT_TRUE(std::ranges::is_sorted(known));
    for (const std::string_view name : known)
        EXPECT_NE(findArchitecture(name), nullptr);
    EXPECT_EQ(findArchitecture("gemma3_text"), findArchitecture("gemma3"));
    EXPECT_EQ(findArchitecture(""), nullptr);
}

} // namespace
} // namespace kvloupe
