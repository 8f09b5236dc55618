// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/adapter/adapter.h"

#include "capture/checkpoint/safetensors_file.h"
#include "tests/capture/adapter/tiny_adapter.h"
#include "tests/support/temporary_folder.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using ::testing::HasSubstr;

TEST(AdapterWriter, WhatIsWrittenIsReadBack)
{
    const TemporaryFolder folder;
    const AdapterWeights weights = smallWeights();
    for (const DataType storage : {DataType::F16, DataType::F32}) {
        writeAdapter(folder.path() / "a", weights, {{"name", "a"}}, storage);
        const AdapterWeights read = Adapter::read(folder.path() / "a")->weights();
        EXPECT_EQ(read.rank, weights.rank);
        EXPECT_EQ(read.alpha, weights.alpha);
        EXPECT_EQ(read.baseModel, weights.baseModel);
        ASSERT_EQ(read.modules.size(), 1U);
        EXPECT_EQ(read.modules[0].down, weights.modules[0].down);
        EXPECT_EQ(read.modules[0].up, weights.modules[0].up);
    }
}

/// PEFT loads by these names, shapes and fields; make_adapter_reference.py was run on an adapter of ours.
TEST(AdapterWriter, TensorsAndFieldsAreNamedAsPeftNamesThem)
{
    const auto ofPeft = Adapter::read(tinyAdapter("plain"));
    const TemporaryFolder folder;
    writeAdapter(folder.path() / "a", ofPeft->weights(), {{"name", "a"}}, DataType::F32);

    const SafetensorsFile theirs(tinyAdapter("plain") / "adapter_model.safetensors");
    const SafetensorsFile ours(folder.path() / "a" / "adapter_model.safetensors");
    ASSERT_EQ(ours.tensors().size(), theirs.tensors().size());
    for (std::size_t i = 0; i < ours.tensors().size(); ++i) {
        EXPECT_EQ(ours.tensors()[i].name, theirs.tensors()[i].name);
        EXPECT_EQ(ours.tensors()[i].dtype, theirs.tensors()[i].dtype);
        EXPECT_EQ(ours.tensors()[i].shape, theirs.tensors()[i].shape);
        EXPECT_TRUE(std::ranges::equal(ours.tensors()[i].bytes, theirs.tensors()[i].bytes)) << ours.tensors()[i].name;
    }

    const nlohmann::json theirConfig = jsonOf(tinyAdapter("plain") / "adapter_config.json");
    const nlohmann::json ourConfig = jsonOf(folder.path() / "a" / "adapter_config.json");
    for (const auto& [field, value] : ourConfig.items())
        EXPECT_TRUE(theirConfig.contains(field)) << field;
    for (const char* field : {"peft_type", "r", "lora_alpha", "bias", "use_rslora", "use_dora", "fan_in_fan_out"})
        EXPECT_EQ(ourConfig.at(field), theirConfig.at(field)) << field;
    const auto modules = [](const nlohmann::json& config) {
        auto names = config.at("target_modules").get<std::vector<std::string>>();
        std::ranges::sort(names);
        return names;
    };
    EXPECT_EQ(modules(ourConfig), modules(theirConfig));
}

TEST(AdapterWriter, ANumberThatFloat16CannotHoldIsRefusedAndTheOldFilesStay)
{
    const TemporaryFolder folder;
    writeAdapter(folder.path() / "a", smallWeights(), {{"name", "a"}});
    const std::string before = Adapter::read(folder.path() / "a")->sha256();
    AdapterWeights large = smallWeights();
    large.modules[0].up[3] = 70'000.0F;
    try {
        writeAdapter(folder.path() / "a", large, {{"name", "b"}});
        FAIL();
    } catch (const AdapterError& error) {
        EXPECT_THAT(error.what(), HasSubstr("found 70000"));
    }
    EXPECT_EQ(Adapter::read(folder.path() / "a")->sha256(), before);
    EXPECT_EQ(Adapter::read(folder.path() / "a")->name(), "a");
}

TEST(AdapterWriter, AFolderThatCannotBeMadeIsNamed)
{
    const TemporaryFolder folder;
    folder.write("file", "x");
    EXPECT_THROW(writeAdapter(folder.path() / "file" / "a", smallWeights(), {{"name", "a"}}), AdapterError);
}

} // namespace
} // namespace kvloupe
