// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/checkpoint.h"
#include "core/recording/half.h"
#include "tests/capture/checkpoint/tiny_llama.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstring>
#include <limits>

namespace kvloupe {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// A copy of the sharded llama whose files can be damaged.
class DamagedLlama {
public:
    DamagedLlama() { std::filesystem::copy(tinyLlamaFolder(), m_folder.path()); }

    const std::filesystem::path& path() const { return m_folder.path(); }
    std::string shardOf(const std::string& tensor) const
    {
        return json::parse(readBytes(path() / "model.safetensors.index.json"))["weight_map"][tensor];
    }
    void overwrite(const std::string& tensor, std::size_t byte, std::string_view bytes) const
    {
        const std::filesystem::path shard = path() / shardOf(tensor);
        std::string all = readBytes(shard);
        std::uint64_t length = 0;
        std::memcpy(&length, all.data(), sizeof length);
        const std::size_t begin = json::parse(all.substr(8, length))[tensor]["data_offsets"][0];
        all.replace(8 + length + begin + byte, bytes.size(), bytes);
        m_folder.write(shard.filename().string(), all);
    }
    /// Changes header and data of a shard: `edit(header, data)`.
    void rewrite(const std::string& shard, const auto& edit) const
    {
        const std::string all = readBytes(path() / shard);
        std::uint64_t length = 0;
        std::memcpy(&length, all.data(), sizeof length);
        json header = json::parse(all.substr(8, length));
        std::string data = all.substr(8 + length);
        edit(header, data);
        const std::string text = header.dump();
        m_folder.write(shard, GgufBuilder::raw<std::uint64_t>(text.size()) + text + data);
    }

private:
    TemporaryFolder m_folder;
};

TEST(HostileWeights, ThatAreInfiniteOrNanAreRefusedWithTheirPlaceInTheFile)
{
    const auto llama = Checkpoint::open(tinyLlamaFolder());
    struct Stored {
        DataType type;
        std::string bytes;
        const char* text;
    };
    const std::vector<Stored> numbers = {
        {DataType::F32, GgufBuilder::raw(std::numeric_limits<float>::infinity()), "found inf"},
        {DataType::F32, GgufBuilder::raw<std::uint32_t>(0x7f800001u), "found nan"},
        {DataType::F16, GgufBuilder::raw<std::uint16_t>(0xfc00u), "found -inf"},
        {DataType::F16, GgufBuilder::raw<std::uint16_t>(0x7e00u), "found nan"},
        {DataType::BF16, GgufBuilder::raw<std::uint16_t>(0x7f80u), "found inf"},
        {DataType::BF16, GgufBuilder::raw<std::uint16_t>(0xffc0u), "found -nan"},
    };
    for (const Stored& number : numbers) {
        const auto isFit = [&](const TensorInfo& tensor) { return tensor.type == number.type && tensor.rows() > 8; };
        const TensorInfo tensor = *std::ranges::find_if(llama->tensors(), isFit);
        const std::int64_t row = 5;
        const std::int64_t column = tensor.rowLength() - 1;
        const DamagedLlama damaged;
        damaged.overwrite(tensor.name,
            static_cast<std::size_t>(row * tensor.rowLength() + column) * number.bytes.size(), number.bytes);
        const auto checkpoint = Checkpoint::open(damaged.path());
        const std::string expected = fmt::format("/{}: tensor '{}': row {}, column {}: {}, expected a finite number",
            damaged.shardOf(tensor.name), tensor.name, row, column, number.text);
        EXPECT_THAT([&] { checkpoint->readFloat32(tensor.name); }, ThrowsMessage<CheckpointError>(HasSubstr(expected)));
        std::vector<float> rows(static_cast<std::size_t>(2 * tensor.rowLength()));
        EXPECT_THAT([&] { checkpoint->readFloat32(tensor.name, row - 1, row + 1, rows); },
            ThrowsMessage<CheckpointError>(HasSubstr(expected)));
        EXPECT_NO_THROW(checkpoint->readFloat32(tensor.name, row + 1, row + 3, rows));
    }
}

/// The message that a number is refused with after `found`, somewhere in the GGUF file, was replaced by `damaged`.
std::string refusalWith(const std::string& found, const std::string& damaged, const std::string& tensor)
{
    std::string file = readBytes(tinyLlamaGguf());
    const std::size_t at = file.find(found);
    EXPECT_NE(at, std::string::npos) << tensor;
    const TemporaryFolder folder;
    folder.write("damaged.gguf", file.replace(at, damaged.size(), damaged));
    try {
        Checkpoint::open(folder.path() / "damaged.gguf")->readFloat32(tensor);
    } catch (const CheckpointError& error) {
        return error.what();
    }
    return "";
}

TEST(HostileWeights, OfRowsThatGgufPermutesAreNamedByTheRowOfHuggingFace)
{
    const auto llama = Checkpoint::open(tinyLlamaGguf());
    constexpr std::size_t row = 6;
    for (const std::string name :
        {"model.layers.0.self_attn.q_proj.weight", "model.layers.1.self_attn.k_proj.weight"}) {
        const auto values = llama->readFloat32(name);
        std::string stored;
        for (std::size_t column = 0; column < 32; ++column)
            stored += GgufBuilder::raw(floatToHalf(values[row * 32 + column]));
        std::string damaged = stored;
        damaged.replace(2 * 3, 2, GgufBuilder::raw<Half>(0x7c00));
        EXPECT_THAT(refusalWith(stored, damaged, name),
            HasSubstr(fmt::format("damaged.gguf: tensor '{}': row 6, column 3: found inf", name)));
    }
    const std::string name = "model.layers.1.self_attn.q_proj.bias";
    const auto values = llama->readFloat32(name);
    std::string stored;
    for (std::size_t i = 0; i < values.size(); ++i) // even places hold the first half of a head, odd ones the second
        stored += GgufBuilder::raw(values[i / 8 * 8 + i % 8 / 2 + 4 * (i % 2)]);
    std::string damaged = stored;
    damaged.replace(4 * 5, 4, GgufBuilder::raw(std::numeric_limits<float>::quiet_NaN()));
    EXPECT_THAT(refusalWith(stored, damaged, name),
        HasSubstr(fmt::format("damaged.gguf: tensor '{}': row 0, column 6: found nan", name)));
}

class FiniteBlocks : public testing::TestWithParam<std::pair<DataType, std::size_t>> { };

TEST_P(FiniteBlocks, AreToldFromThoseWithAnInfiniteScaleWhereverItIs)
{
    const auto [type, scaleAt] = GetParam();
    const auto length = static_cast<std::size_t>(blockLength(type));
    const auto bytes = static_cast<std::size_t>(blockBytes(type));
    // More values than are looked at together, and a rest that no vector divides.
    const std::size_t count = (3 * 16384) / length + (length == 1 ? 7 : 1);
    std::vector<std::byte> blocks(count * bytes);
    for (std::size_t i = 0; i < blocks.size(); ++i)
        blocks[i] = static_cast<std::byte>(0x11 + i % 3);
    std::vector<float> out(count * length);
    ASSERT_EQ(dequantizeFinite(type, blocks, out), std::nullopt);
    std::vector<float> plain(out.size());
    dequantize(type, blocks, plain);
    EXPECT_EQ(out, plain);
    for (const std::size_t bad : {std::size_t{0}, count / 2, count - 1}) {
        auto damaged = blocks;
        const bool isWide = type == DataType::F32 || type == DataType::Q8_K;
        const std::uint32_t infinity = isWide ? 0x7f800000u : type == DataType::BF16 ? 0x7f80u : 0x7c00u;
        std::memcpy(damaged.data() + bad * bytes + scaleAt, &infinity, isWide ? 4 : 2);
        EXPECT_EQ(dequantizeFinite(type, damaged, out), bad * length) << bad;
    }
    EXPECT_EQ(dequantizeFinite(type, {}, {}), std::nullopt);
    EXPECT_THROW(dequantizeFinite(type, blocks, {}), CheckpointError);
    EXPECT_THROW(dequantizeFinite(type, std::span(blocks).subspan(bytes), out), CheckpointError);
}

INSTANTIATE_TEST_SUITE_P(AllTypes, FiniteBlocks,
    testing::Values(std::pair{DataType::F32, 0}, std::pair{DataType::F16, 0}, std::pair{DataType::BF16, 0},
        std::pair{DataType::Q4_0, 0}, std::pair{DataType::Q4_1, 2}, std::pair{DataType::Q5_0, 0},
        std::pair{DataType::Q5_1, 2}, std::pair{DataType::Q8_0, 0}, std::pair{DataType::Q2_K, 80},
        std::pair{DataType::Q3_K, 108}, std::pair{DataType::Q4_K, 0}, std::pair{DataType::Q5_K, 2},
        std::pair{DataType::Q6_K, 208}, std::pair{DataType::Q8_K, 0}, std::pair{DataType::IQ4_NL, 0},
        std::pair{DataType::IQ4_XS, 0}),
    [](const auto& instance) { return std::string(dataTypeName(instance.param.first)); });

TEST(HostileWeights, OfATypeThatHoldsNoWeightsAreRefused)
{
    for (const auto& [type, size] : {std::pair{"I64", 8}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F64", 8}, {"BOOL", 1}}) {
        const DamagedLlama damaged;
        const std::string shard = damaged.shardOf("lm_head.weight");
        damaged.rewrite(shard, [&](json& header, std::string& data) {
            const std::size_t begin = data.size();
            data.append(static_cast<std::size_t>(64 * 32 * size), '\0');
            header["lm_head.weight"]["dtype"] = type;
            header["lm_head.weight"]["data_offsets"] = {begin, data.size()};
        });
        EXPECT_THAT(refusal(damaged.path()),
            HasSubstr(fmt::format(
                "/{}: tensor 'lm_head.weight': type {} is not supported (supported: F32, F16, BF16)", shard, type)));
    }
}

TEST(HostileWeights, ThatAreMissingOrOfAnotherShapeAreNamedWithTheShapeThatIsNeeded)
{
    const DamagedLlama without;
    without.rewrite(
        without.shardOf("model.norm.weight"), [](json& header, std::string&) { header.erase("model.norm.weight"); });
    std::filesystem::path indexPath = without.path() / "model.safetensors.index.json";
    json index = json::parse(readBytes(indexPath));
    index["weight_map"].erase("model.norm.weight");
    std::ofstream(indexPath) << index.dump();
    EXPECT_THAT(refusal(without.path()),
        HasSubstr("tensor model.norm.weight is missing, architecture llama needs it with shape [32]"));

    const DamagedLlama turned;
    const std::string shard = turned.shardOf("model.norm.weight");
    turned.rewrite(shard, [](json& header, std::string&) { header["model.norm.weight"]["shape"] = {32, 1}; });
    EXPECT_THAT(refusal(turned.path()),
        HasSubstr(shard + ": tensor 'model.norm.weight': found shape [32, 1], expected [32] from the configuration"));
}

TEST(HostileWeights, InTwoShardsAreThoseOfTheShardThatTheIndexNames)
{
    const auto addCopy = [](const DamagedLlama& llama, const std::string& name) {
        llama.rewrite("model-00001-of-00003.safetensors", [&](json& header, std::string& data) {
            header[name] = {{"dtype", "F32"}, {"shape", {32}}, {"data_offsets", {data.size(), data.size() + 128}}};
            data.append(128, '\0');
        });
    };
    const DamagedLlama twice;
    ASSERT_NE(twice.shardOf("model.norm.weight"), "model-00001-of-00003.safetensors");
    addCopy(twice, "model.norm.weight");
    EXPECT_EQ(Checkpoint::open(twice.path())->readFloat32("model.norm.weight"),
        Checkpoint::open(tinyLlamaFolder())->readFloat32("model.norm.weight"));
    // With no word of the index there is no telling.
    const std::filesystem::path indexPath = twice.path() / "model.safetensors.index.json";
    json index = json::parse(readBytes(indexPath));
    index["weight_map"].erase("model.norm.weight");
    std::ofstream(indexPath) << index.dump();
    EXPECT_THAT(refusal(twice.path()), HasSubstr("tensor 'model.norm.weight' occurs twice"));
}

TEST(HostileWeights, ThatEndBeforeTheirTensorsDoAreRefused)
{
    const std::string shard = "model-00002-of-00003.safetensors";
    const DamagedLlama cut;
    std::filesystem::resize_file(cut.path() / shard, std::filesystem::file_size(cut.path() / shard) - 1);
    EXPECT_THAT(refusal(cut.path()), HasSubstr(shard + ": tensor '"));
    EXPECT_THAT(refusal(cut.path()), HasSubstr("lie outside the"));

    const DamagedLlama shrinking;
    const auto checkpoint = Checkpoint::open(shrinking.path());
    const auto whole = std::filesystem::file_size(shrinking.path() / shard);
    const auto isThere = [&](const TensorInfo& tensor) { return shrinking.shardOf(tensor.name) == shard; };
    const std::string name = std::ranges::find_if(checkpoint->tensors(), isThere)->name;
    EXPECT_NO_THROW(checkpoint->readFloat32(name));
    std::filesystem::resize_file(shrinking.path() / shard, 100);
    EXPECT_THAT([&] { checkpoint->readFloat32(name); },
        ThrowsMessage<CheckpointError>(
            HasSubstr(fmt::format("{}: was cut while it was open: found 100 bytes, expected {}", shard, whole))));
}

} // namespace
} // namespace kvloupe
