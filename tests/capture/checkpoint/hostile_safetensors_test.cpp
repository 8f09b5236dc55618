// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/checkpoint.h"
#include "capture/checkpoint/safetensors_checkpoint.h"
#include "tests/capture/checkpoint/tiny_llama.h"

#include <functional>

namespace kvloupe {
namespace {

using nlohmann::json;

/// One safetensors file of a folder that is otherwise right.
struct Shard {
    json header;
    std::string data;

    std::string bytes() const
    {
        const std::string text = header.dump();
        return GgufBuilder::raw<std::uint64_t>(text.size()) + text + data;
    }
};

Shard readShard()
{
    const std::string all = readBytes(tinyLlamaFolder() / "model-00001-of-00003.safetensors");
    std::uint64_t length = 0;
    std::memcpy(&length, all.data(), sizeof length);
    return {json::parse(all.substr(8, length)), all.substr(8 + length)};
}

void copyFolder(const TemporaryFolder& folder)
{
    std::filesystem::copy(tinyLlamaFolder(), folder.path(), std::filesystem::copy_options::recursive);
}

constexpr const char* shardName = "model-00001-of-00003.safetensors";
constexpr const char* someTensor = "lm_head.weight";

TEST(HostileSafetensors, AreRefusedWhenTheHeaderIsWrong)
{
    struct Mutation {
        std::function<void(json&)> apply;
        const char* fragment;
    };
    const auto field = [](const char* name, json value) {
        return [name, value](json& header) { header[someTensor][name] = value; };
    };
    const std::vector<Mutation> mutations = {
        {field("dtype", "F64"), "hold 4096 bytes, shape and dtype need 16384"},
        {field("dtype", "Q4"), "dtype: 'Q4' is not known"},
        {field("dtype", "I16"), "type I16 is not supported"},
        {field("dtype", "F32"), "hold 4096 bytes, shape and dtype need 8192"},
        {field("dtype", 5), "dtype: expected a string"},
        {field("shape", json::array({64, 33})), "hold 4096 bytes, shape and dtype need 4224"},
        {field("shape", json::array({32, 64})), "found shape [32, 64], expected [64, 32]"},
        {field("shape", json::array({2048})), "found shape [2048], expected [64, 32]"},
        {field("shape", json::array({-64, -32})), "shape: found -64, expected a whole number"},
        {field("shape", json::array({0, 32})), "shape: found a dimension of 0"},
        {field("shape", json::array({1ull << 62, 1ull << 62})), "does not fit into 64 bits"},
        {field("shape", json::array({64.5, 32})), "shape: found 64.5"},
        {field("shape", json::array({1, 1, 1, 1, 1, 1, 1, 64, 32})), "at most 8 numbers"},
        {field("shape", "64x32"), "shape: expected a list"},
        {field("data_offsets", json::array({0})), "data_offsets: expected a list of two"},
        {field("data_offsets", json::array({4096, 0})), "data_offsets: [4096, 0] lie outside"},
        {field("data_offsets", json::array({0, 1ull << 40})), "lie outside the"},
        {field("data_offsets", json::array({18446744073709551615ull, 18446744073709551615ull})), "lie outside the"},
        {field("data_offsets", json::array({-1, 4095})), "data_offsets: found -1"},
        {field("data_offsets", json::array({64, 4160})), "overlaps tensor"},
        {[](json& h) { h[someTensor].erase("dtype"); }, "dtype: is missing"},
        {[](json& h) { h[someTensor].erase("shape"); }, "shape: is missing"},
        {[](json& h) { h[someTensor].erase("data_offsets"); }, "data_offsets: is missing"},
        {[](json& h) { h[someTensor] = 3; }, "found a JSON number, expected an object"},
        {[](json& h) { h.erase(someTensor); }, "tensor 'lm_head.weight': found in no shard, expected in"},
        {[](json& h) { h = json::array(); }, "header: found a JSON array"},
        {[](json& h) { h["x"] = json::parse("[[[[[1]]]]]"); }, "nested deeper than 4 levels"},
    };
    for (std::size_t i = 0; i < mutations.size(); ++i) {
        SCOPED_TRACE(i);
        const TemporaryFolder folder;
        copyFolder(folder);
        Shard shard = readShard();
        mutations[i].apply(shard.header);
        folder.write(shardName, shard.bytes());
        const std::string message = refusal(folder.path());
        EXPECT_NE(message.find(mutations[i].fragment), std::string::npos)
            << "expected: " << mutations[i].fragment << "\n   found: " << message;
        EXPECT_NE(message.find(folder.path().string()), std::string::npos) << message;
        EXPECT_EQ(message.find('\n'), std::string::npos);
    }
}

TEST(HostileSafetensors, AreRefusedWhenTheHeaderLengthIsWrong)
{
    const Shard shard = readShard();
    const std::string text = shard.header.dump();
    const std::pair<std::uint64_t, const char*> lengths[] = {{~0ull, "header: a length of 18446744073709551615 bytes"},
        {200'000'000, "header: a length of"}, {shard.bytes().size() - 7, "header: a length of"},
        {0, "is not valid JSON"}, {text.size() - 1, "is not valid JSON"}};
    for (const auto& [length, fragment] : lengths) {
        const TemporaryFolder folder;
        copyFolder(folder);
        folder.write(shardName, GgufBuilder::raw<std::uint64_t>(length) + text + shard.data);
        EXPECT_NE(refusal(folder.path()).find(fragment), std::string::npos) << length << ": " << refusal(folder.path());
    }
}

TEST(HostileSafetensors, AreRefusedWhenTheIndexIsWrong)
{
    const json good = json::parse(readBytes(tinyLlamaFolder() / "model.safetensors.index.json"));
    const auto refusalOf = [](const std::string& index) {
        const TemporaryFolder folder;
        copyFolder(folder);
        folder.write("model.safetensors.index.json", index);
        return refusal(folder.path());
    };
    const auto withShard = [&](const json& shard) {
        json index = good;
        index["weight_map"][someTensor] = shard;
        return refusalOf(index.dump());
    };
    using namespace std::string_literals;
    for (const std::string& outside : {"../../etc/passwd"s, "/etc/passwd"s, ".."s, "."s, ""s, "a/b"s, "a\\b"s, "a\0b"s})
        EXPECT_NE(withShard(outside).find("is no file name inside the folder"), std::string::npos) << outside;
    EXPECT_NE(withShard(5).find("is no file name inside the folder"), std::string::npos);
    EXPECT_NE(withShard("absent.safetensors")
                  .find("absent.safetensors: the shard is missing, model.safetensors.index.json names 4 shards"),
        std::string::npos);
    EXPECT_NE(withShard("config.json").find("header"), std::string::npos);
    EXPECT_NE(withShard("model-00002-of-00003.safetensors")
                  .find("found in model-00001-of-00003.safetensors, expected in model-00002-of-00003.safetensors"),
        std::string::npos);
    EXPECT_NE(refusalOf("{}").find("weight_map: is missing"), std::string::npos);
    EXPECT_NE(refusalOf("[]").find("expected an object"), std::string::npos);
    EXPECT_NE(refusalOf("{").find("is not valid JSON"), std::string::npos);
}

TEST(HostileSafetensors, AreRefusedWhenTheIndexNamesATensorThatIsNowhereOrTheLayersHoldMoreThanTheyShould)
{
    const TemporaryFolder folder;
    copyFolder(folder);
    json index = json::parse(readBytes(tinyLlamaFolder() / "model.safetensors.index.json"));
    index["weight_map"]["model.layers.9.ghost.weight"] = "model-00001-of-00003.safetensors";
    folder.write("model.safetensors.index.json", index.dump());
    EXPECT_NE(refusal(folder.path())
                  .find("tensor 'model.layers.9.ghost.weight': found in no shard, expected in "
                        "model-00001-of-00003.safetensors"),
        std::string::npos);

    const TemporaryFolder shallow;
    copyFolder(shallow);
    json config = json::parse(readBytes(tinyLlamaFolder() / "config.json"));
    config["num_hidden_layers"] = 1;
    shallow.write("config.json", config.dump());
    EXPECT_NE(refusal(shallow.path())
                  .find("'model.layers.1.input_layernorm.weight' is one too many: architecture llama "
                        "with 1 layers does not use it"),
        std::string::npos)
        << refusal(shallow.path());
}

TEST(HostileSafetensors, SayThatPicklesAreNotReadAndWhatToDo)
{
    const TemporaryFolder folder;
    folder.write("config.json", readBytes(tinyLlamaFolder() / "config.json"));
    folder.write("pytorch_model-00001-of-00002.bin", "PK");
    folder.write("pytorch_model-00002-of-00002.bin", "PK");
    const std::string ofFolder = refusal(folder.path());
    EXPECT_NE(ofFolder.find("pytorch_model-00001-of-00002.bin: PyTorch's .bin"), std::string::npos) << ofFolder;
    EXPECT_NE(ofFolder.find("safe_serialization=True"), std::string::npos);
    EXPECT_NE(refusal(folder.path() / "pytorch_model-00002-of-00002.bin").find("Python pickles"), std::string::npos);
}

TEST(HostileSafetensors, AreRefusedWhenThereAreNone)
{
    const TemporaryFolder folder;
    EXPECT_NE(refusal(folder.path()).find("config.json: cannot be opened"), std::string::npos);
    folder.write("config.json", readBytes(tinyLlamaFolder() / "config.json"));
    EXPECT_NE(refusal(folder.path()).find("holds neither model.safetensors nor"), std::string::npos);
}

TEST(HostileSafetensors, OpenOrAreRefusedWhateverHeaderByteIsChangedOrCut)
{
    const TemporaryFolder folder;
    copyFolder(folder);
    const Shard shard = readShard();
    const std::string good = shard.bytes();
    const std::size_t headerSize = good.size() - shard.data.size();
    for (std::size_t i = 0; i < headerSize; ++i) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ (1 << i % 8));
        folder.write(shardName, bad);
        refusal(folder.path()); // anything but a CheckpointError would end the test
        folder.write(shardName, std::string_view(good).substr(0, i));
        EXPECT_NE(refusal(folder.path()), "") << i;
    }
}

TEST(ChatTemplateOfFolder, IsRefusedWhenItIsNoText)
{
    const TemporaryFolder folder;
    EXPECT_EQ(chatTemplateOfFolder(folder.path()), "");
    folder.write("tokenizer_config.json", R"({"chat_template": null})");
    EXPECT_EQ(chatTemplateOfFolder(folder.path()), "");
    folder.write("tokenizer_config.json", R"({"chat_template": "text"})");
    EXPECT_EQ(chatTemplateOfFolder(folder.path()), "text");
    for (const char* const bad : {R"({"chat_template": 5})", R"({"chat_template": [{"name": "x", "template": "y"}]})",
             R"({"chat_template": [{"name": "default", "template": 1}]})"}) {
        folder.write("tokenizer_config.json", bad);
        EXPECT_THROW(chatTemplateOfFolder(folder.path()), CheckpointError) << bad;
    }
}

} // namespace
} // namespace kvloupe
