// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/checkpoint.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <string>

namespace kvloupe {

/// The random llama of tests/data/tiny_llama; make_checkpoint_reference.py explains it.
inline std::filesystem::path tinyLlamaFolder()
{
    return std::filesystem::path(KVLOUPE_TEST_DATA) / "tiny_llama";
}
inline std::filesystem::path tinyLlamaGguf()
{
    return tinyLlamaFolder() / "tiny_llama.gguf";
}

inline std::string readBytes(const std::filesystem::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// The message a model is refused with; "" if it opens.
inline std::string refusal(const std::filesystem::path& path)
{
    try {
        Checkpoint::open(path);
    } catch (const CheckpointError& error) {
        return error.what();
    }
    return "";
}

/// A refusal is one line that holds `fragment` and the name of the file.
inline void expectRefused(const std::filesystem::path& path, const std::string& fragment)
{
    const std::string message = refusal(path);
    EXPECT_NE(message.find(fragment), std::string::npos) << "expected: " << fragment << "\n   found: " << message;
    EXPECT_NE(message.find(path.filename().string()), std::string::npos) << message;
    EXPECT_EQ(message.find_first_of("\n\r\t"), std::string::npos) << message;
}

/// A llama of one layer whose numbers are all zero: hidden 32, 2 heads, 1 KV head, head_dim 16, vocabulary 40.
inline GgufBuilder zeroLlama()
{
    GgufBuilder builder;
    builder.add("general.architecture", "llama")
        .add("llama.block_count", 1u)
        .add("llama.context_length", 128u)
        .add("llama.embedding_length", 32u)
        .add("llama.feed_forward_length", 64u)
        .add("llama.attention.head_count", 2u)
        .add("llama.attention.head_count_kv", 1u)
        .add("llama.attention.layer_norm_rms_epsilon", 1e-5f)
        .add("llama.rope.freq_base", 10000.0f)
        .add("tokenizer.ggml.bos_token_id", 1u)
        .add("tokenizer.ggml.eos_token_id", 2u);
    const auto put = [&](const char* name, std::vector<std::uint64_t> dimensions) {
        std::uint64_t bytes = 4;
        for (const std::uint64_t size : dimensions)
            bytes *= size;
        builder.tensors.push_back({name, std::move(dimensions), 0, std::string(bytes, '\0'), -1});
    };
    put("token_embd.weight", {32, 40});
    put("output_norm.weight", {32});
    put("blk.0.attn_norm.weight", {32});
    put("blk.0.ffn_norm.weight", {32});
    put("blk.0.attn_q.weight", {32, 32});
    put("blk.0.attn_k.weight", {32, 16});
    put("blk.0.attn_v.weight", {32, 16});
    put("blk.0.attn_output.weight", {32, 32});
    put("blk.0.ffn_gate.weight", {32, 64});
    put("blk.0.ffn_up.weight", {32, 64});
    put("blk.0.ffn_down.weight", {64, 32});
    return builder;
}

} // namespace kvloupe
