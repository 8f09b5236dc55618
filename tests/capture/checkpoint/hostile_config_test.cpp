// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/model_config.h"
#include "tests/capture/checkpoint/tiny_llama.h"

#include <functional>

namespace kvloupe {
namespace {

using nlohmann::json;

std::string refusalOf(const std::string& config)
{
    const TemporaryFolder folder;
    folder.write("config.json", config);
    try {
        configFromFolder(folder.path());
    } catch (const CheckpointError& error) {
        return error.what();
    }
    return "";
}

TEST(HostileConfig, IsRefusedFieldByField)
{
    struct Mutation {
        const char* field;
        json value;
        const char* fragment;
    };
    const json good = json::parse(readBytes(tinyLlamaFolder() / "config.json"));
    const json linear = {{"type", "linear"}};
    const Mutation mutations[] = {
        {"model_type", "mixtral", "model_type: the architecture 'mixtral' is not known (known: llama)"},
        {"model_type", 5, "model_type: found a number, expected a string"},
        {"model_type", nullptr, "model_type: is missing"},
        {"num_hidden_layers", 0, "num_hidden_layers: found 0, expected 1 to 1024"},
        {"num_hidden_layers", -3, "found -3"},
        {"num_hidden_layers", 1e9, "found a number, expected an integer"},
        {"num_hidden_layers", "2", "found a string, expected an integer"},
        {"num_hidden_layers", nullptr, "num_hidden_layers: is missing"},
        {"hidden_size", 1ull << 63, "found 9223372036854775808"},
        {"hidden_size", 1 << 21, "found 2097152, expected 1 to 1048576"},
        {"intermediate_size", nullptr, "intermediate_size: is missing"},
        {"vocab_size", 0, "vocab_size: found 0"},
        {"num_attention_heads", 5000, "found 5000, expected 1 to 4096"},
        {"num_key_value_heads", 3, "3 KV heads do not divide 4 query heads"},
        {"num_key_value_heads", 0, "num_key_value_heads: found 0"},
        {"head_dim", 7, "found 7, rotary embedding needs an even number"},
        {"max_position_embeddings", 0, "max_position_embeddings: found 0"},
        {"rms_norm_eps", 0, "RMS norm epsilon: found 0"},
        {"rms_norm_eps", "small", "rms_norm_eps: found a string, expected a number"},
        {"rope_theta", 0.5, "RoPE theta: found 0.5"},
        {"rope_theta", -1, "RoPE theta: found -1"},
        {"rope_scaling", {{"type", "dynamic"}, {"factor", 2}},
            "rope_scaling: rope_type: RoPE scaling 'dynamic' is not"},
        {"rope_scaling", {{"rope_type", "yarn"}}, "RoPE scaling 'yarn' is not supported"},
        {"rope_scaling", linear, "rope_scaling: factor: is missing"},
        {"rope_scaling", {{"type", "linear"}, {"factor", 0}}, "found the factor 0"},
        {"rope_scaling", {{"type", "llama3"}, {"factor", 8}}, "low_freq_factor: is missing"},
        {"rope_scaling",
            {{"type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 1},
                {"original_max_position_embeddings", 8192}},
            "do not fit together"},
        {"rope_scaling", 5, "rope_scaling: found a number, expected an object"},
        {"rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}},
            "a partial rotation is not supported"},
        {"hidden_act", "gelu", "hidden_act: found 'gelu', only 'silu'"},
        {"tie_word_embeddings", 1, "tie_word_embeddings: found a number, expected true or false"},
        {"attention_bias", "yes", "attention_bias: found a string"},
        {"bos_token_id", 64, "64 is outside the vocabulary of 64"},
        {"bos_token_id", -1, "bos_token_id: expected a token id"},
        {"eos_token_id", {1, 64}, "64 is outside the vocabulary of 64"},
        {"eos_token_id", "</s>", "eos_token_id: expected a token id"},
        {"eos_token_id", json::array({json::array()}), "eos_token_id: expected a token id"},
    };
    EXPECT_EQ(refusalOf(good.dump()), "");
    for (const Mutation& mutation : mutations) {
        json bad = good;
        bad[mutation.field] = mutation.value;
        const std::string message = refusalOf(bad.dump());
        EXPECT_NE(message.find(mutation.fragment), std::string::npos)
            << "expected: " << mutation.fragment << "\n   found: " << message;
        EXPECT_NE(message.find("config.json: "), std::string::npos) << message;
    }
    json uneven = good;
    uneven.erase("head_dim");
    uneven["num_attention_heads"] = 6;
    EXPECT_NE(refusalOf(uneven.dump()).find("6 heads do not divide the hidden size 32"), std::string::npos);
}

TEST(HostileConfig, IsRefusedWhenItIsNoObject)
{
    EXPECT_NE(refusalOf("").find("is empty"), std::string::npos);
    EXPECT_NE(refusalOf("[]").find("found a JSON array, expected an object"), std::string::npos);
    EXPECT_NE(refusalOf("{").find("is not valid JSON"), std::string::npos);
    EXPECT_NE(refusalOf(std::string(5 << 20, ' ')).find("at most 4194304 are read"), std::string::npos);
}

} // namespace
} // namespace kvloupe
