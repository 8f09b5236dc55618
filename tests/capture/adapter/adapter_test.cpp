// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/adapter/adapter.h"

#include "capture/checkpoint/sha256.h"
#include "tests/capture/adapter/tiny_adapter.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using ::testing::HasSubstr;

std::string checkRefusal(const Adapter& adapter, const ModelConfig& config)
{
    try {
        adapter.check(config);
    } catch (const AdapterError& error) {
        return error.what();
    }
    return "";
}

TEST(Adapter, WhatPeftSavedIsRead)
{
    const auto plain = Adapter::read(tinyAdapter("plain"));
    EXPECT_EQ(plain->name(), "plain");
    EXPECT_EQ(plain->role(), "");
    EXPECT_FALSE(plain->thinks());
    EXPECT_EQ(plain->weights().rank, 3);
    EXPECT_DOUBLE_EQ(plain->weights().scale(), 5.0 / 3.0);
    EXPECT_EQ(plain->weights().baseModel, "tiny_llama");
    ASSERT_EQ(plain->weights().modules.size(), 14U);
    EXPECT_EQ(plain->weights().modules.front().name, "model.layers.0.mlp.down_proj");
    EXPECT_EQ(plain->weights().modules.front().inputs, 48);
    EXPECT_EQ(plain->weights().modules.front().outputs, 32);
    plain->check(tinyConfig());

    const auto stabilised = Adapter::read(tinyAdapter("stabilised"));
    EXPECT_DOUBLE_EQ(stabilised->weights().scale(), 1.0);
    EXPECT_EQ(stabilised->weights().modules.size(), 4U);
    EXPECT_NE(plain->sha256(), stabilised->sha256());
}

TEST(Adapter, ItsHashIsThatOfTheFileOfWeights)
{
    std::ifstream in(tinyAdapter("plain") / "adapter_model.safetensors", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    EXPECT_EQ(Adapter::read(tinyAdapter("plain"))->sha256(), sha256Hex(bytes));
}

TEST(Adapter, RowsAreChangedByScaleTimesUpTimesDown)
{
    const TemporaryFolder folder;
    const AdapterWeights weights = smallWeights();
    writeAdapter(folder.path() / "a", weights, {{"name", "a"}});
    const auto adapter = Adapter::read(folder.path() / "a");
    const AdapterModule& module = weights.modules.front();

    constexpr std::size_t begin = 5;
    constexpr std::size_t rows = 3;
    std::vector<float> values(rows * 32, 1.0F);
    adapter->addTo("model.layers.0.self_attn.k_proj.weight", begin, begin + rows, values);
    for (std::size_t row = 0; row < rows; ++row) {
        for (std::size_t column = 0; column < 32; ++column) {
            float product = 0.0F;
            for (std::size_t i = 0; i < 2; ++i)
                product += module.up[(begin + row) * 2 + i] * module.down[i * 32 + column];
            EXPECT_EQ(values[row * 32 + column], 1.0F + 3.0F * product);
        }
    }

    std::vector<float> others(64, 1.0F);
    adapter->addTo("model.layers.0.self_attn.q_proj.weight", 0, 2, others);
    adapter->addTo("model.layers.0.self_attn.k_proj.bias", 0, 1, others);
    adapter->addTo("model.norm.weight", 0, 1, others);
    EXPECT_EQ(others, std::vector<float>(64, 1.0F));
}

TEST(Adapter, AnAdapterForAnotherModelIsRefusedWithModuleFoundAndExpected)
{
    const auto adapter = Adapter::read(tinyAdapter("plain"));
    ModelConfig narrow = tinyConfig();
    narrow.intermediateSize = 40;
    EXPECT_THAT(checkRefusal(*adapter, narrow),
        HasSubstr("module model.layers.0.mlp.down_proj: found shape [32, 48], expected [32, 40]"));
    ModelConfig shallow = tinyConfig();
    shallow.numLayers = 1;
    EXPECT_THAT(checkRefusal(*adapter, shallow), HasSubstr("model.layers.1."));
    EXPECT_THAT(checkRefusal(*adapter, shallow), HasSubstr("1 layers"));
    ModelConfig fewerHeads = tinyConfig();
    fewerHeads.numKvHeads = 1;
    EXPECT_THAT(checkRefusal(*adapter, fewerHeads), HasSubstr("k_proj: found shape [16, 32], expected [8, 32]"));
}

TEST(Adapter, WhatItSaysOfItselfIsRead)
{
    const TemporaryFolder folder;
    writeAdapter(folder.path() / "a", smallWeights(),
        {{"name", "thinker"}, {"role", "reasoning-adapter"}, {"thinks", true}, {"more", {{"depth", 1}}}});
    const auto adapter = Adapter::read(folder.path() / "a");
    EXPECT_EQ(adapter->name(), "thinker");
    EXPECT_EQ(adapter->role(), "reasoning-adapter");
    EXPECT_TRUE(adapter->thinks());
}

TEST(AdapterCatalog, AFolderIsItselfAndAnUnknownNameIsRefused)
{
    EXPECT_EQ(findAdapter(tinyAdapter("plain").string()), tinyAdapter("plain"));
    try {
        findAdapter("no-such-adapter");
        FAIL();
    } catch (const AdapterError& error) {
        EXPECT_THAT(error.what(), HasSubstr("'no-such-adapter'"));
        EXPECT_THAT(error.what(), HasSubstr("shipped"));
    }
}

TEST(AdapterCatalog, EveryShippedAdapterIsFoundByNameAndSaysWhatItIs)
{
    for (const auto& [name, role] : {std::pair{"smollm2-135m-instruct-short", "instruct-adapter"},
             std::pair{"smollm2-135m-reasoning", "reasoning-adapter"}}) {
        const auto adapter = Adapter::read(findAdapter(name));
        EXPECT_EQ(adapter->name(), name);
        EXPECT_EQ(adapter->role(), role);
        EXPECT_EQ(adapter->thinks(), adapter->role() == "reasoning-adapter");
        EXPECT_EQ(adapter->weights().modules.size(), 210U); // 30 layers of 7 projections
        EXPECT_TRUE(std::filesystem::exists(findAdapter(name) / "README.md"));
    }
}

} // namespace
} // namespace kvloupe
