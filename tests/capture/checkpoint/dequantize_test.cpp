// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/tensor_types.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>

namespace kvloupe {
namespace {

std::vector<std::byte> fromHex(const std::string& hex)
{
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    return bytes;
}

class Dequantize : public testing::TestWithParam<DataType> { };

TEST_P(Dequantize, GivesTheNumbersOfTheGgufPackageToTheLastBit)
{
    std::ifstream file(KVLOUPE_TEST_DATA "/dequantize_reference.json");
    const nlohmann::json reference = nlohmann::json::parse(file)[std::string(dataTypeName(GetParam()))];
    const auto blocks = fromHex(reference["blocks"]);
    const auto expectedBytes = fromHex(reference["values"]);
    std::vector<float> expected(expectedBytes.size() / sizeof(float));
    std::memcpy(expected.data(), expectedBytes.data(), expectedBytes.size());
    ASSERT_GE(expected.size(), 512u);
    std::vector<float> found(expected.size());
    dequantize(GetParam(), blocks, found);
    for (std::size_t i = 0; i < found.size(); ++i) {
        const bool isSame = std::bit_cast<std::uint32_t>(found[i]) == std::bit_cast<std::uint32_t>(expected[i]);
        EXPECT_TRUE(isSame || (std::isnan(found[i]) && std::isnan(expected[i])))
            << "value " << i << ": found " << found[i] << ", expected " << expected[i];
    }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, Dequantize,
    testing::Values(DataType::F32, DataType::F16, DataType::BF16, DataType::Q4_0, DataType::Q4_1, DataType::Q5_0,
        DataType::Q5_1, DataType::Q8_0, DataType::Q2_K, DataType::Q3_K, DataType::Q4_K, DataType::Q5_K, DataType::Q6_K,
        DataType::Q8_K, DataType::IQ4_NL, DataType::IQ4_XS),
    [](const auto& instance) { return std::string(dataTypeName(instance.param)); });

TEST(DequantizeSizes, AreCheckedAgainstTheBlocks)
{
    std::vector<std::byte> block(20);
    std::vector<float> out(32);
    EXPECT_NO_THROW(dequantize(DataType::Q4_1, block, out));
    EXPECT_THROW(dequantize(DataType::Q4_0, block, out), CheckpointError);
    out.resize(31);
    EXPECT_THROW(dequantize(DataType::Q4_1, block, out), CheckpointError);
    EXPECT_NO_THROW(dequantize(DataType::F32, {}, {}));
}

TEST(TensorTypes, HaveTheNamesAndNumbersOfGgml)
{
    EXPECT_EQ(ggmlTypeName(14), "Q6_K");
    EXPECT_EQ(ggmlTypeName(12), "Q4_K");
    EXPECT_EQ(ggmlTypeName(30), "BF16");
    EXPECT_EQ(ggmlTypeName(1000), "type 1000");
    EXPECT_EQ(dataTypeOfGgml(30), DataType::BF16);
    EXPECT_EQ(dataTypeOfGgml(14), DataType::Q6_K);
    EXPECT_EQ(dataTypeOfGgml(16), std::nullopt);
}

} // namespace
} // namespace kvloupe
