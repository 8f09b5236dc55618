// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/adapter/adapter.h"

#include "capture/checkpoint/safetensors_writer.h"
#include "tests/capture/adapter/tiny_adapter.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace kvloupe {
namespace {

using ::testing::HasSubstr;

/// An adapter whose files are replaced one by one.
class HostileAdapter : public ::testing::Test {
protected:
    void SetUp() override { writeAdapter(path(), smallWeights(), {{"name", "a"}}); }

    const std::filesystem::path& path() const { return m_folder.path(); }

    std::string refusal() const
    {
        try {
            Adapter::read(path());
        } catch (const AdapterError& error) {
            return error.what();
        }
        return "";
    }

    /// The refusal when a field of adapter_config.json has another value.
    std::string refusalOf(const char* field, const nlohmann::json& value) const
    {
        nlohmann::json config = jsonOf(tinyAdapter("plain") / "adapter_config.json");
        config["r"] = 2;
        config[field] = value;
        m_folder.write("adapter_config.json", config.dump());
        return refusal();
    }

    void writeTensors(const std::vector<SafetensorsEntry>& entries) const
    {
        writeSafetensors(path() / "adapter_model.safetensors", entries);
    }

    static SafetensorsEntry tensor(std::string name, std::vector<std::int64_t> shape, std::span<const float> values)
    {
        return {"base_model.model.model.layers.0.self_attn." + std::move(name), "F32", std::move(shape),
            std::as_bytes(values)};
    }

    TemporaryFolder m_folder;
};

TEST_F(HostileAdapter, WithoutAChangeItIsRead)
{
    EXPECT_EQ(refusal(), "");
    EXPECT_EQ(refusalOf("r", 2), "");
}

TEST_F(HostileAdapter, OtherKindsOfAdaptersAreRefusedByName)
{
    EXPECT_THAT(refusalOf("peft_type", "IA3"), HasSubstr("peft_type: found 'IA3', expected \"LORA\""));
    EXPECT_THAT(refusalOf("peft_type", nullptr), HasSubstr("peft_type: is missing"));
    EXPECT_THAT(refusalOf("use_dora", true), HasSubstr("'use_dora': found true"));
    EXPECT_THAT(refusalOf("modules_to_save", {"lm_head"}), HasSubstr("'modules_to_save': found JSON array"));
    EXPECT_THAT(refusalOf("bias", "all"), HasSubstr("bias: found 'all'"));
    EXPECT_THAT(refusalOf("rank_pattern", {{"q_proj", 4}}), HasSubstr("rank_pattern"));
    EXPECT_THAT(refusalOf("alpha_pattern", {{"q_proj", 4}}), HasSubstr("alpha_pattern"));
    EXPECT_THAT(refusalOf("fan_in_fan_out", true), HasSubstr("fan_in_fan_out"));
    EXPECT_THAT(refusalOf("init_lora_weights", "pissa_niter_4"), HasSubstr("'pissa_niter_4'"));
    EXPECT_EQ(refusalOf("init_lora_weights", "gaussian"), "");
    // Whatever a later version invents.
    EXPECT_THAT(refusalOf("use_something_new", true), HasSubstr("'use_something_new': found true"));
    EXPECT_EQ(refusalOf("use_something_new", false), "");
}

TEST_F(HostileAdapter, RanksAndScalesOutOfRangeAreRefused)
{
    EXPECT_THAT(refusalOf("r", 0), HasSubstr("r: found 0"));
    EXPECT_THAT(refusalOf("r", -3), HasSubstr("r: found -3"));
    EXPECT_THAT(refusalOf("r", 1e300), HasSubstr("r: found"));
    EXPECT_THAT(refusalOf("r", std::numeric_limits<std::uint64_t>::max()), HasSubstr("r: found 18446744073709551615"));
    EXPECT_THAT(refusalOf("r", "eight"), HasSubstr("r: found JSON string"));
    EXPECT_THAT(refusalOf("lora_alpha", 1e300), HasSubstr("lora_alpha: found"));
    EXPECT_THAT(refusalOf("lora_alpha", nullptr), HasSubstr("lora_alpha: is missing"));
    EXPECT_THAT(refusalOf("use_rslora", 1), HasSubstr("use_rslora: found 1"));
    EXPECT_THAT(refusalOf("base_model_name_or_path", 3), HasSubstr("base_model_name_or_path: found 3"));
}

TEST_F(HostileAdapter, DamagedJsonIsRefused)
{
    m_folder.write("adapter_config.json", "{\"peft_type\": \"LORA\"");
    EXPECT_THAT(refusal(), HasSubstr("adapter_config.json: is not valid JSON"));
    m_folder.write("adapter_config.json", "[1]");
    EXPECT_THAT(refusal(), HasSubstr("expected an object"));
    m_folder.write("adapter_config.json", std::string(100, '[') + std::string(100, ']'));
    EXPECT_THAT(refusal(), HasSubstr("nested deeper"));
    std::filesystem::remove(path() / "adapter_config.json");
    EXPECT_THAT(refusal(), HasSubstr("adapter_config.json"));
}

TEST_F(HostileAdapter, DamagedFactsAreRefused)
{
    for (const char* facts : {R"({"role": 3})", R"({"name": ["x"]})", R"({"thinks": "yes"})", "{", "3"}) {
        m_folder.write("kvloupe_adapter.json", facts);
        EXPECT_THAT(refusal(), HasSubstr("kvloupe_adapter.json")) << facts;
    }
}

TEST_F(HostileAdapter, TensorsThatFormNoPairsAreRefused)
{
    const std::vector<float> values(2 * 32, 0.5F);
    const SafetensorsEntry down = tensor("k_proj.lora_A.weight", {2, 32}, values);
    const SafetensorsEntry up = tensor("k_proj.lora_B.weight", {16, 2}, std::span(values).first(32));
    writeTensors({down, up});
    EXPECT_EQ(refusal(), "");
    writeTensors({down});
    EXPECT_THAT(refusal(), HasSubstr("k_proj': lora_B is missing"));
    writeTensors({up});
    EXPECT_THAT(refusal(), HasSubstr("k_proj': lora_A is missing"));
    writeTensors({down, up, tensor("k_proj.lora_magnitude_vector.weight", {2, 32}, values)});
    EXPECT_THAT(refusal(), HasSubstr("is no part of a LoRA pair"));
    writeTensors({{"lora_A.weight", "F32", {2, 32}, std::as_bytes(std::span(values))}});
    EXPECT_THAT(refusal(), HasSubstr("is no part of a LoRA pair"));
    writeTensors({});
    EXPECT_THAT(refusal(), HasSubstr("holds no LoRA pairs"));
}

TEST_F(HostileAdapter, TensorsOfWrongShapeOrTypeAreRefused)
{
    const std::vector<float> values(3 * 32, 0.5F);
    const SafetensorsEntry up = tensor("k_proj.lora_B.weight", {16, 2}, std::span(values).first(32));
    writeTensors({tensor("k_proj.lora_A.weight", {3, 32}, values), up});
    EXPECT_THAT(refusal(), HasSubstr("found a rank of 3, expected 2 as adapter_config.json says"));
    writeTensors({tensor("k_proj.lora_A.weight", {64}, std::span(values).first(64)), up});
    EXPECT_THAT(refusal(), HasSubstr("found 1 dimensions, expected 2"));
    SafetensorsEntry integers = tensor("k_proj.lora_A.weight", {2, 32}, std::span(values).first(64));
    integers.dtype = "I32";
    writeTensors({integers, up});
    EXPECT_THAT(refusal(), HasSubstr("dtype: found I32, expected F32, F16 or BF16"));
    std::vector<float> broken(2 * 32, 0.5F);
    broken[40] = std::numeric_limits<float>::quiet_NaN();
    writeTensors({tensor("k_proj.lora_A.weight", {2, 32}, broken), up});
    EXPECT_THAT(refusal(), HasSubstr("lora_A: row 1, column 8: found nan, expected a finite number"));
}

TEST_F(HostileAdapter, WhatIsNoFolderIsRefused)
{
    EXPECT_THROW(Adapter::read(path() / "nothing"), AdapterError);
    EXPECT_THROW(Adapter::read(path() / "adapter_config.json"), AdapterError);
    std::filesystem::remove(path() / "adapter_model.safetensors");
    EXPECT_THAT(refusal(), HasSubstr("adapter_model.safetensors"));
}

} // namespace
} // namespace kvloupe
