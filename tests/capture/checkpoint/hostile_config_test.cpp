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
        {"model_type", "mixtral",
            "model_type: the architecture 'mixtral' is not known "
            "(known: gemma3, llama, mistral, phi3, qwen2, qwen3, smollm3)"},
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
        {"rope_theta", 0.5, "rope_theta: found 0.5, expected a number of at least 1"},
        {"rope_theta", -1, "rope_theta: found -1"},
        {"rope_theta", 1e300, "rope_theta: found 1e+300"},
        {"rope_theta", "big", "rope_theta: found a string, expected a number"},
        {"rope_scaling", {{"type", "proportional"}, {"factor", 2}},
            "rope_scaling: rope_type: RoPE scaling 'proportional' is not supported (supported: default, dynamic, "
            "linear, llama3, longrope, yarn)"},
        {"rope_scaling", {{"type", 5}}, "rope_scaling: type: found a number, expected a string"},
        {"rope_scaling", linear, "rope_scaling: factor: is missing"},
        {"rope_scaling", {{"type", "linear"}, {"factor", 0}}, "factor: found 0, expected a positive number"},
        {"rope_scaling", {{"type", "linear"}, {"factor", "8"}}, "factor: found a string, expected a number"},
        {"rope_scaling", {{"type", "dynamic"}, {"factor", -2}}, "factor: found -2, expected a positive number"},
        {"rope_scaling", {{"type", "yarn"}, {"factor", 1e-40}, {"original_max_position_embeddings", 0}},
            "original_max_position_embeddings: found 0"},
        {"rope_scaling", {{"type", "yarn"}, {"factor", 4}, {"attention_factor", 0}}, "attention_factor: found 0"},
        {"rope_scaling", {{"type", "yarn"}, {"factor", 4}, {"beta_fast", 1}, {"beta_slow", 2}}, "do not fit together"},
        {"rope_scaling", {{"type", "yarn"}, {"factor", 4}, {"truncate", 1}}, "truncate: found a number"},
        {"rope_scaling", {{"type", "longrope"}, {"factor", 4}}, "short_factor: is missing"},
        {"rope_scaling", {{"type", "longrope"}, {"short_factor", 5}}, "short_factor: found a number, expected a list"},
        {"rope_scaling", {{"type", "longrope"}, {"short_factor", {1, 2, 3}}},
            "short_factor: found 3 numbers, expected 4, one for each pair of a head"},
        {"rope_scaling", {{"type", "longrope"}, {"short_factor", {1, 2, 3, 0}}}, "expected positive numbers"},
        {"rope_scaling", {{"type", "longrope"}, {"short_factor", {1, 2, 3, "4"}}}, "expected positive numbers"},
        {"rope_scaling",
            {{"type", "longrope"}, {"short_factor", {1, 1, 1, 1}}, {"long_factor", {1, 1, 1, 1}},
                {"original_max_position_embeddings", 1}},
            "original_max_position_embeddings: found 1, expected at least 2"},
        {"rope_scaling", {{"type", "llama3"}, {"factor", 8}}, "low_freq_factor: is missing"},
        {"rope_scaling",
            {{"type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 1},
                {"original_max_position_embeddings", 8192}},
            "do not fit together"},
        {"rope_scaling", 5, "rope_scaling: found a number, expected an object"},
        {"rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}},
            "a partial rotation is not supported"},
        {"rope_parameters", {{"full_attention", {{"rope_type", "default"}}}}, "differs between layers"},
        {"partial_rotary_factor", 0.5, "a partial rotation is not supported"},
        {"attn_logit_softcapping", 50.0, "attn_logit_softcapping: soft-capping is not supported"},
        {"final_logit_softcapping", "no", "final_logit_softcapping: found a string, expected a number"},
        {"num_local_experts", 8, "num_local_experts: mixtures of experts are not supported"},
        {"num_experts", -1, "num_experts: found -1"},
        {"use_bidirectional_attention", true, "attention that is not causal is not supported"},
        {"is_causal", false, "attention that is not causal is not supported"},
        {"quantization_config", {{"quant_method", "gptq"}}, "weights quantised by GPTQ"},
        {"original_max_position_embeddings", 0, "original_max_position_embeddings: found 0"},
        {"hidden_act", "gelu", "hidden_act: found 'gelu', only 'silu' and 'gelu_pytorch_tanh' are supported"},
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

TEST(HostileConfig, IsRefusedWhereOneArchitectureReadsMoreThanAnother)
{
    struct Mutation {
        const char* architecture;
        json fields;
        const char* fragment;
    };
    const json nested = {{"sliding_attention", 5}};
    const Mutation mutations[] = {
        {"mistral", {{"sliding_window", 0}}, "sliding_window: found 0, expected 1 to"},
        {"mistral", {{"sliding_window", "4096"}}, "sliding_window: found a string, expected an integer"},
        {"qwen2", {{"use_sliding_window", 1}}, "use_sliding_window: found a number, expected true or false"},
        {"qwen2", {{"max_window_layers", -1}}, "max_window_layers: found -1, expected 0 to 1024"},
        {"qwen3", {{"layer_types", "full_attention"}}, "layer_types: found a string, expected a list"},
        {"qwen3", {{"layer_types", {"full_attention"}}}, "layer_types: found 1 kinds for 2 layers"},
        {"qwen3", {{"layer_types", {"full_attention", 7}}}, "layer_types: found a number in the list"},
        {"qwen3", {{"layer_types", {"full_attention", "chunked_attention"}}},
            "layer_types: found 'chunked_attention', which is not supported"},
        {"smollm3", {{"no_rope_layers", {1}}}, "no_rope_layers: found 1 numbers for 2 layers"},
        {"smollm3", {{"no_rope_layers", {1, 2}}}, "no_rope_layers: in the list: found 2, expected 0 to 1"},
        {"smollm3", {{"no_rope_layer_interval", 0}}, "no_rope_layer_interval: found 0"},
        {"gemma3", {{"text_config", 5}}, "text_config: found a number, expected an object"},
        {"gemma3", {{"text_config", {{"hidden_size", 32}}}}, "text_config: num_hidden_layers: is missing"},
        {"gemma3_text", {{"sliding_window", nullptr}}, "sliding_window: is missing"},
        {"gemma3_text", {{"sliding_window_pattern", 0}}, "sliding_window_pattern: found 0"},
        {"gemma3_text", {{"query_pre_attn_scalar", 0}}, "query_pre_attn_scalar: found 0, expected a positive number"},
        {"gemma3_text", {{"rope_local_base_freq", 0}}, "rope_theta: found 0, expected a number of at least 1"},
        {"gemma3_text", {{"rope_parameters", {{"rope_type", "linear"}}}},
            "rope_parameters: expected full_attention and sliding_attention"},
        {"gemma3_text", {{"rope_parameters", nested}}, "sliding_attention: found a number, expected an object"},
    };
    for (const Mutation& mutation : mutations) {
        json bad = json::parse(readBytes(tinyLlamaFolder() / "config.json"));
        bad["model_type"] = mutation.architecture;
        EXPECT_EQ(refusalOf(bad.dump()), "") << mutation.architecture;
        bad.update(mutation.fields);
        const std::string message = refusalOf(bad.dump());
        EXPECT_NE(message.find(mutation.fragment), std::string::npos)
            << "expected: " << mutation.fragment << "\n   found: " << message;
        EXPECT_NE(message.find("config.json: "), std::string::npos) << message;
    }
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
