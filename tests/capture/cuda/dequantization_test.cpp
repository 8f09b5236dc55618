// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/dequantization_block.h"
#include "host_warp.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>

namespace kvloupe::cuda {
namespace {

struct Nothing { };

constexpr std::array types{DataType::F32, DataType::F16, DataType::BF16, DataType::Q4_0, DataType::Q4_1, DataType::Q5_0,
    DataType::Q5_1, DataType::Q8_0, DataType::Q2_K, DataType::Q3_K, DataType::Q4_K, DataType::Q5_K, DataType::Q6_K,
    DataType::Q8_K, DataType::IQ4_NL, DataType::IQ4_XS};

template <typename Element>
std::vector<Element> dequantizeHere(DataType type, const std::vector<std::byte>& blocks, std::size_t values)
{
    std::vector<Element> out(values + 1, fromFloat<Element>(99.0F));
    const DequantizationInput<Element> input{
        reinterpret_cast<const std::uint8_t*>(blocks.data()), static_cast<std::int64_t>(values), out.data()};
    const int grid = static_cast<int>((values + 255) / 256);
    withDataType(type, [&](auto constant) {
        EXPECT_EQ(GgufBlock<decltype(constant)::value>::length, blockLength(type));
        EXPECT_EQ(GgufBlock<decltype(constant)::value>::bytes, blockBytes(type));
        runGrid<Nothing>({grid, 1, 1}, 2, false,
            [&](HostWarp& warp, Nothing&) { dequantizeBlocks<decltype(constant)::value>(warp, input); });
    });
    EXPECT_EQ(widen(out.back()), 99.0F) << "wrote past the end";
    out.pop_back();
    return out;
}

/// Every byte is random, so that every bit of every field is met, scales that are infinite or NaN included.
TEST(Dequantization, GivesTheBitsOfTheCheckpointReader)
{
    std::mt19937_64 random(3);
    for (const DataType type : types) {
        SCOPED_TRACE(dataTypeName(type));
        const std::size_t count
            = blockLength(type) == 1 ? 5000 : 20 * 256 / static_cast<std::size_t>(blockLength(type));
        std::vector<std::byte> blocks(count * static_cast<std::size_t>(blockBytes(type)));
        for (std::byte& byte : blocks)
            byte = static_cast<std::byte>(random());
        const std::size_t values = count * static_cast<std::size_t>(blockLength(type));
        std::vector<float> expected(values);
        dequantize(type, blocks, expected);
        const std::vector<float> found = dequantizeHere<float>(type, blocks, values);
        std::size_t different = 0;
        for (std::size_t i = 0; i < values; ++i) {
            const bool bothNan = std::isnan(found[i]) && std::isnan(expected[i]);
            different += !bothNan && std::memcmp(&found[i], &expected[i], sizeof(float)) != 0 ? 1U : 0U;
        }
        EXPECT_EQ(different, 0U);

        const auto rounded = dequantizeHere<Bfloat16>(type, blocks, values);
        for (std::size_t i = 0; i < values; ++i) {
            if (!std::isnan(expected[i])) {
                ASSERT_EQ(rounded[i].bits, fromFloat<Bfloat16>(expected[i]).bits) << i;
            }
        }
    }
}

} // namespace
} // namespace kvloupe::cuda
