// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace kvloupe {
namespace {

/// The value of a half by the definition of binary16, without any bit trick.
double valueOf(Half half)
{
    const int exponent = half >> 10 & 0x1F;
    const int mantissa = half & 0x3FF;
    const double sign = (half & 0x8000) != 0 ? -1.0 : 1.0;
    if (exponent == 0) {
        return sign * std::ldexp(mantissa, -24);
    }
    if (exponent == 31) {
        return mantissa == 0 ? sign * std::numeric_limits<double>::infinity()
                             : std::numeric_limits<double>::quiet_NaN();
    }
    return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

/// Nearest half by search among all finite ones, ties to the even code; slow and obvious.
Half nearestHalf(float value)
{
    if (std::isnan(value)) {
        return static_cast<Half>(0x7E00 | (std::signbit(value) ? 0x8000 : 0));
    }
    const Half sign = std::signbit(value) ? 0x8000 : 0;
    const double magnitude = std::abs(static_cast<double>(value));
    // Values of codes 0 to 0x7C00 ascend; 0x7C00 stands for 65536 in rounding.
    const auto codeValue = [](int code) { return code == 0x7C00 ? 65536.0 : valueOf(static_cast<Half>(code)); };
    int low = 0;
    int high = 0x7C00;
    if (magnitude >= codeValue(high)) {
        return static_cast<Half>(sign | high);
    }
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        (codeValue(middle) <= magnitude ? low : high) = middle;
    }
    const double below = magnitude - codeValue(low);
    const double above = codeValue(high) - magnitude;
    const bool up = above < below || (above == below && low % 2 == 1);
    return static_cast<Half>(sign | (up ? high : low));
}

TEST(Half, EveryCodeBecomesTheFloatOfItsDefinition)
{
    std::vector<Half> codes(65536);
    for (std::size_t code = 0; code < codes.size(); ++code) {
        codes[code] = static_cast<Half>(code);
    }
    std::vector<float> floats(codes.size());
    halvesToFloats(codes, floats);
    for (std::size_t code = 0; code < codes.size(); ++code) {
        const double expected = valueOf(codes[code]);
        if (std::isnan(expected)) {
            ASSERT_TRUE(std::isnan(floats[code])) << code;
            ASSERT_TRUE(std::isnan(halfToFloat(codes[code]))) << code;
        } else {
            ASSERT_EQ(
                std::bit_cast<std::uint32_t>(floats[code]), std::bit_cast<std::uint32_t>(static_cast<float>(expected)))
                << code;
            ASSERT_EQ(halfToFloat(codes[code]), floats[code]) << code;
        }
    }
}

TEST(Half, EveryCodeSurvivesTheWayToFloatAndBack)
{
    for (int code = 0; code < 65536; ++code) {
        const auto half = static_cast<Half>(code);
        const bool nan = (code & 0x7C00) == 0x7C00 && (code & 0x3FF) != 0;
        ASSERT_EQ(floatToHalf(halfToFloat(half)), nan ? static_cast<Half>((code & 0x8000) | 0x7E00) : half) << code;
    }
}

TEST(Half, RoundsToNearestEvenAroundEveryBoundary)
{
    std::vector<float> floats;
    for (int code = 0; code < 0x7C00; ++code) {
        const double here = valueOf(static_cast<Half>(code));
        const double next = code + 1 == 0x7C00 ? 65536.0 : valueOf(static_cast<Half>(code + 1));
        for (const double centre : {here, (here + next) / 2}) {
            const auto exact = static_cast<float>(centre);
            ASSERT_EQ(static_cast<double>(exact), centre);
            const float infinity = std::numeric_limits<float>::infinity();
            for (const float value : {exact, std::nextafter(exact, infinity), std::nextafter(exact, -infinity)}) {
                floats.push_back(value);
                floats.push_back(-value);
            }
        }
    }
    std::vector<Half> halves(floats.size());
    floatsToHalves(floats, halves);
    for (std::size_t i = 0; i < floats.size(); ++i) {
        ASSERT_EQ(halves[i], nearestHalf(floats[i])) << floats[i];
        ASSERT_EQ(floatToHalf(floats[i]), halves[i]) << floats[i];
    }
}

TEST(Half, KeepsInfinitiesAndNanAndOverflowsToInfinity)
{
    const float infinity = std::numeric_limits<float>::infinity();
    EXPECT_EQ(floatToHalf(infinity), 0x7C00);
    EXPECT_EQ(floatToHalf(-infinity), 0xFC00);
    EXPECT_EQ(floatToHalf(std::numeric_limits<float>::max()), 0x7C00);
    EXPECT_EQ(floatToHalf(65519.996F), 0x7BFF);
    EXPECT_EQ(floatToHalf(65520.0F), 0x7C00);
    EXPECT_EQ(floatToHalf(std::numeric_limits<float>::quiet_NaN()), 0x7E00);
    EXPECT_EQ(floatToHalf(std::numeric_limits<float>::denorm_min()), 0x0000);
    EXPECT_EQ(floatToHalf(-std::numeric_limits<float>::denorm_min()), 0x8000);
}

TEST(Half, ConvertsArraysOfAnyLengthAlike)
{
    for (std::size_t length = 0; length < 70; ++length) {
        std::vector<float> floats(length);
        for (std::size_t i = 0; i < length; ++i) {
            floats[i] = static_cast<float>(i) * 0.37F - 5.0F;
        }
        std::vector<Half> halves(length);
        floatsToHalves(floats, halves);
        for (std::size_t i = 0; i < length; ++i) {
            ASSERT_EQ(halves[i], nearestHalf(floats[i]));
        }
    }
}

} // namespace
} // namespace kvloupe
