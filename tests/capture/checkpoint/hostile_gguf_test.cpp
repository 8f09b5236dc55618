// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/checkpoint.h"
#include "tests/capture/checkpoint/tiny_llama.h"

#include <functional>
#include <limits>

namespace kvloupe {
namespace {

constexpr std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();

struct Mutation {
    const char* name;
    std::function<void(GgufBuilder&)> apply;
    const char* fragment;
};

template <typename Value> auto set(const char* key, Value value)
{
    return [key, value](GgufBuilder& builder) { builder.remove(key).add(key, value); };
}

auto drop(const char* key)
{
    return [key](GgufBuilder& builder) { builder.remove(key); };
}

auto raw(const char* key, std::uint32_t type, std::string payload)
{
    return [key, type, payload](GgufBuilder& builder) { builder.remove(key).add(key, type, payload); };
}

std::string array(std::uint32_t type, std::uint64_t count, const std::string& payload = "")
{
    return GgufBuilder::raw(type) + GgufBuilder::raw(count) + payload;
}

std::vector<Mutation> containerMutations()
{
    return {
        {"magic", [](auto& b) { b.magic = "GGML"; }, "is not a GGUF file"},
        {"version 1", [](auto& b) { b.version = 1; }, "version: found 1, expected 2 or 3"},
        {"version 4", [](auto& b) { b.version = 4; }, "version: found 4, expected 2 or 3"},
        {"big-endian", [](auto& b) { b.version = 0x03000000; }, "big-endian"},
        {"tensor count", [](auto& b) { b.claimedTensors = std::numeric_limits<std::int64_t>::max(); },
            "tensor count: 9223372036854775807 entries cannot fit"},
        {"metadata count", [](auto& b) { b.claimedMetadata = std::numeric_limits<std::int64_t>::max(); },
            "metadata count: 9223372036854775807 entries cannot fit"},
        {"one tensor too many", [](auto& b) { b.claimedTensors = 12; }, "tensor"},
        {"one key too few", [](auto& b) { b.claimedMetadata = 10; }, "tensor"},
        {"unknown value type", raw("x", 13, "abcd"), "metadata 'x': unknown value type 13"},
        {"string beyond the file", raw("x", 8, GgufBuilder::raw(huge)), "needs 18446744073709551615 bytes"},
        {"array beyond the file", raw("x", 9, array(4, huge / 4 + 2)), "an array of 4611686018427387905 uint32 values"},
        {"array of strings beyond the file", raw("x", 9, array(8, huge)), "string values cannot fit"},
        {"string in an array beyond the file", raw("x", 9, array(8, 1, GgufBuilder::raw(huge))), "metadata 'x': needs"},
        {"array of arrays", raw("x", 9, array(9, 1)), "an array of arrays"},
        {"unknown element type", raw("x", 9, array(99, 1)), "unknown value type 99"},
        {"key twice", [](auto& b) { b.add("general.architecture", "llama"); }, "'general.architecture': occurs twice"},
        {"key with a line break", [](auto& b) { b.add("a\nb", 1u).add("a\nb", 2u); },
            "metadata 'a\\x0ab': occurs twice"},
        {"alignment 0", set("general.alignment", 0u), "general.alignment: found 0, expected 1 to"},
        {"alignment 48", set("general.alignment", 48u), "general.alignment: found 48, expected a power of two"},
        {"alignment is text", set("general.alignment", "32"), "found a string value, expected an integer"},
        {"alignment is huge", raw("general.alignment", 10, GgufBuilder::raw(huge)), "found 18446744073709551615"},
        {"tensor twice", [](auto& b) { b.tensors.push_back(b.tensors.front()); },
            "tensor 'token_embd.weight': occurs twice"},
        {"five dimensions",
            [](auto& b) {
                b.tensor("output_norm.weight").dimensions = {2, 2, 2, 2, 2};
            },
            "5 dimensions, at most 4"},
        {"dimension 0", [](auto& b) { b.tensor("output_norm.weight").dimensions = {0}; }, "dimension 0 is 0"},
        {"dimension above 2^63", [](auto& b) { b.tensor("output_norm.weight").dimensions = {huge}; }, "dimension 0 is"},
        {"dimensions that overflow",
            [](auto& b) {
                b.tensor("output_norm.weight").dimensions = {1ull << 40, 1ull << 40};
            },
            "more than 2^64 values"},
        {"bytes that overflow", [](auto& b) { b.tensor("output_norm.weight").dimensions = {1ull << 62}; },
            "does not fit into 64 bits"},
        {"data beyond the file", [](auto& b) { b.tensor("output_norm.weight").dimensions = {1ull << 30}; },
            "lie outside the file"},
        {"offset beyond the file", [](auto& b) { b.tensor("output_norm.weight").offset = 1ll << 40; },
            "lie outside the file"},
        {"offset that overflows", [](auto& b) { b.tensor("output_norm.weight").offset = 0x7fffffffffffffe0; },
            "lie outside the file"},
        {"offset out of line", [](auto& b) { b.tensor("output_norm.weight").offset = 8; },
            "offset 8 is not aligned to 32"},
        {"overlap", [](auto& b) { b.tensor("output_norm.weight").offset = 32; }, "overlaps tensor 'token_embd.weight'"},
        {"IQ2_XS", [](auto& b) { b.tensor("blk.0.attn_v.weight").type = 17; },
            "tensor 'blk.0.attn_v.weight': type IQ2_XS is not supported"},
        {"type 1000", [](auto& b) { b.tensor("blk.0.attn_v.weight").type = 1000; }, "type type 1000 is not supported"},
        {"rows that are no whole blocks",
            [](auto& b) {
                b.tensor("blk.0.attn_v.weight").type = 8;
                b.tensor("blk.0.attn_v.weight").dimensions = {16, 32};
            },
            "rows of 16 values are no multiple of the 32 values in a Q8_0 block"},
        {"long tensor name", [](auto& b) { b.tensor("output_norm.weight").name = std::string(300, 'n'); },
            "a string of 300 bytes, at most 256"},
    };
}

auto withYarn(const char* key, float value)
{
    return [=](auto& b) {
        b.add("llama.rope.scaling.type", "yarn")
            .add("llama.rope.scaling.factor", 4.0f)
            .add(std::string("llama.rope.scaling.") + key, value);
    };
}

std::vector<Mutation> modelMutations()
{
    return {
        {"architecture", set("general.architecture", "mamba"),
            "the architecture 'mamba' is not known (known: gemma3, llama, mistral, phi3, qwen2, qwen3, smollm3)"},
        {"no architecture", drop("general.architecture"), "general.architecture: is missing"},
        {"architecture is a number", set("general.architecture", 7u), "found a uint32 value, expected a string"},
        {"no layers", set("llama.block_count", 0u), "llama.block_count: found 0, expected 1 to 1024"},
        {"too many layers", set("llama.block_count", 0xffffffffu), "found 4294967295, expected 1 to 1024"},
        {"layers missing", drop("llama.block_count"), "llama.block_count: is missing"},
        {"layers is real", set("llama.block_count", 1.0f), "found a float32 value, expected an integer"},
        {"negative layers", raw("llama.block_count", 5, GgufBuilder::raw(std::int32_t{-1})), "found -1, expected 1 to"},
        {"hidden size", set("llama.embedding_length", 64u), "found shape [40, 32], expected [40, 64]"},
        {"heads do not divide", set("llama.attention.head_count", 3u), "3 heads do not divide the hidden size 32"},
        {"KV heads do not divide", set("llama.attention.head_count_kv", 3u), "3 KV heads do not divide 2 query heads"},
        {"odd head", [](auto& b) { b.add("llama.attention.key_length", 15u); }, "found 15, rotary embedding needs"},
        {"other value size", [](auto& b) { b.add("llama.attention.value_length", 8u); },
            "found 8, expected 16 as for keys"},
        {"mixed heads", set("llama.attention.head_count", std::vector<std::int32_t>{2, 4}), "differs between layers"},
        {"context", set("llama.context_length", 0u), "llama.context_length: found 0"},
        {"epsilon", set("llama.attention.layer_norm_rms_epsilon", -1.0f), "RMS norm epsilon: found -1"},
        {"epsilon missing", drop("llama.attention.layer_norm_rms_epsilon"), "layer_norm_rms_epsilon: is missing"},
        {"epsilon NaN", set("llama.attention.layer_norm_rms_epsilon", std::numeric_limits<float>::quiet_NaN()),
            "RMS norm epsilon: found nan"},
        {"theta", set("llama.rope.freq_base", 0.0f), "llama.rope.freq_base: found 0, expected a positive number"},
        {"theta infinite", set("llama.rope.freq_base", std::numeric_limits<float>::infinity()),
            "llama.rope.freq_base: found inf"},
        {"theta below one", set("llama.rope.freq_base", 0.5f), "found 0.5, expected a number of at least 1"},
        {"scaling", set("llama.rope.scaling.type", "ntk"),
            "RoPE scaling 'ntk' is not supported (supported: none, linear, longrope, yarn)"},
        {"yarn without a factor", set("llama.rope.scaling.type", "yarn"),
            "rope.scaling.factor: is missing, yarn RoPE scaling needs it"},
        {"yarn with an amplitude of its own", withYarn("yarn_attn_factor", 1.5f), "an amplitude other than YaRN's own"},
        {"yarn in part", withYarn("yarn_ext_factor", 0.5f), "YaRN in part is not supported"},
        {"yarn with a multiplier", withYarn("yarn_log_multiplier", 0.1f), "yarn_log_multiplier: is not supported"},
        {"yarn with a wrong range", withYarn("yarn_beta_slow", 64.0f), "do not fit together"},
        {"long rope without factors", set("llama.rope.scaling.type", "longrope"),
            "LongRoPE needs rope_factors_long.weight"},
        {"window", set("llama.attention.sliding_window", 4096.0f), "found a float32 value, expected an integer"},
        {"soft-capping", set("llama.final_logit_softcapping", 30.0f), "soft-capping is not supported"},
        {"logit scale", set("llama.logit_scale", 0.5f), "llama.logit_scale: is not supported"},
        {"attention scale", set("llama.attention.scale", -1.0f), "attention scale: found -1"},
        {"linear without a factor", set("llama.rope.scaling.type", "linear"), "rope.scaling.factor: is missing"},
        {"negative factor",
            [](auto& b) { b.add("llama.rope.scaling.type", "linear").add("llama.rope.scaling.factor", -2.0f); },
            "llama.rope.scaling.factor: found -2, expected a positive number"},
        {"part of a head rotated", set("llama.rope.dimension_count", 8u), "rotates 8 of 16 values of a head"},
        {"experts", set("llama.expert_count", 8u), "mixtures of experts are not supported"},
        {"rope factors of another size",
            [](auto& b) {
                b.tensors.push_back({"rope_freqs.weight", {4}, 0, std::string(16, '\0'), -1});
            },
            "expected 8 values of type F32"},
        {"rope factors of zero",
            [](auto& b) {
                b.tensors.push_back({"rope_freqs.weight", {8}, 0, std::string(32, '\0'), -1});
            },
            "tensor 'rope_freqs.weight': found 0, expected positive numbers"},
        {"vocabulary", set("llama.vocab_size", 41u), "found shape [40, 32], expected [41, 32]"},
        {"beginning of sequence", set("tokenizer.ggml.bos_token_id", 40u), "40 is outside the vocabulary of 40"},
        {"end of sequence", set("tokenizer.ggml.eos_token_id", 99u), "99 is outside the vocabulary of 40"},
        {"missing tensor", [](auto& b) { b.tensor("blk.0.ffn_up.weight").name = "blk.1.ffn_up.weight"; },
            "tensor model.layers.0.mlp.up_proj.weight is missing"},
        {"transposed tensor",
            [](auto& b) {
                b.tensor("blk.0.ffn_up.weight").dimensions = {64, 32};
            },
            "found shape [32, 64], expected [64, 32]"},
        {"norm with two dimensions",
            [](auto& b) {
                b.tensor("output_norm.weight").dimensions = {32, 1};
            },
            "found shape [1, 32], expected [32]"},
        {"both names of one tensor",
            [](auto& b) {
                b.tensors.push_back({"model.norm.weight", {32}, 0, std::string(128, '\0'), -1});
            },
            "tensor 'model.norm.weight' occurs twice"},
        {"bias of one projection alone",
            [](auto& b) {
                b.tensors.push_back({"blk.0.attn_q.bias", {32}, 0, std::string(128, '\0'), -1});
            },
            "model.layers.0.self_attn.k_proj.bias is missing"},
    };
}

void expectAllRefused(const std::vector<Mutation>& mutations)
{
    const TemporaryFolder folder;
    zeroLlama().write(folder.path() / "good.gguf");
    ASSERT_EQ(refusal(folder.path() / "good.gguf"), "");
    for (const Mutation& mutation : mutations) {
        SCOPED_TRACE(mutation.name);
        GgufBuilder bad = zeroLlama();
        mutation.apply(bad);
        bad.write(folder.path() / "bad.gguf");
        expectRefused(folder.path() / "bad.gguf", mutation.fragment);
    }
}

TEST(HostileGguf, IsRefusedWhenTheContainerIsWrong)
{
    expectAllRefused(containerMutations());
}
TEST(HostileGguf, IsRefusedWhenTheModelIsWrong)
{
    expectAllRefused(modelMutations());
}

TEST(HostileGguf, IsReadInVersion2Too)
{
    const TemporaryFolder folder;
    GgufBuilder builder = zeroLlama();
    builder.version = 2;
    builder.write(folder.path() / "v2.gguf");
    EXPECT_EQ(Checkpoint::open(folder.path() / "v2.gguf")->format(), "GGUF v2");
}

TEST(HostileGguf, IsRefusedWhenALayerHoldsAWeightThatWouldBeIgnored)
{
    GgufBuilder builder = zeroLlama();
    builder.tensors.push_back({"blk.0.attn_q_norm.weight", {16}, 0, std::string(64, '\0'), -1});
    const TemporaryFolder folder;
    builder.write(folder.path() / "extra.gguf");
    EXPECT_NE(
        refusal(folder.path() / "extra.gguf")
            .find("tensor 'model.layers.0.self_attn.q_norm.weight' is one too many: architecture llama with 1 layers"),
        std::string::npos)
        << refusal(folder.path() / "extra.gguf");
}

TEST(HostileGguf, HonoursAnotherAlignment)
{
    const TemporaryFolder folder;
    GgufBuilder builder = zeroLlama();
    builder.alignment = 256;
    builder.add("general.alignment", 256u);
    builder.tensor("output_norm.weight").data = std::string(128, '\x3f');
    builder.write(folder.path() / "aligned.gguf");
    EXPECT_GT(Checkpoint::open(folder.path() / "aligned.gguf")->readFloat32("model.norm.weight").at(31), 0.7f);
}

TEST(HostileGguf, IsRefusedCutAnywhere)
{
    const TemporaryFolder folder;
    const std::string good = zeroLlama().bytes();
    const std::size_t headerSize = zeroLlama().header().size();
    for (std::size_t length = 0; length < good.size(); length += length < headerSize ? 3 : 997)
        EXPECT_NE(refusal(folder.write("cut.gguf", std::string_view(good).substr(0, length))), "") << length;
}

TEST(HostileGguf, OpensOrIsRefusedWhateverHeaderByteIsChanged)
{
    const TemporaryFolder folder;
    const std::string good = zeroLlama().bytes();
    const std::size_t headerSize = zeroLlama().header().size();
    int refused = 0;
    for (std::size_t i = 0; i < headerSize; ++i) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ (i % 3 == 0 ? 0xff : 1 << i % 8));
        const auto path = folder.write("flipped.gguf", bad);
        if (!refusal(path).empty()) { // anything but a CheckpointError would end the test
            ++refused;
            continue;
        }
        const auto checkpoint = Checkpoint::open(path);
        for (const TensorInfo& tensor : checkpoint->tensors())
            checkpoint->readFloat32(tensor.name);
    }
    EXPECT_GT(refused, static_cast<int>(headerSize) / 2); // most of the header matters
}

TEST(HostileGguf, IsRefusedWhenItIsNoFile)
{
    const TemporaryFolder folder;
    expectRefused(folder.path() / "absent.gguf", "no such file or folder");
    expectRefused(folder.write("empty.gguf", ""), "is empty");
    expectRefused("/dev/null", "is not a regular file");
    expectRefused(folder.write("alone.safetensors", "xxxxxxxxxx"), "give the folder with its config.json");
}

} // namespace
} // namespace kvloupe
