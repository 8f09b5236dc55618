// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/color_bar.h"
#include "views/heatmap/color_map.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kvloupe {
namespace {

double luminance(QRgb color)
{
    const auto linear = [](int value) { return std::pow(value / 255.0, 2.2); };
    return 0.2126 * linear(qRed(color)) + 0.7152 * linear(qGreen(color)) + 0.0722 * linear(qBlue(color));
}

TEST(ColorMaps, GrowBrighterFromTheFirstToTheLastEntry)
{
    for (const ColorMap map : allColorMaps) {
        const auto entries = colorMapEntries(map);
        for (std::size_t i = 1; i < entries.size(); ++i)
            EXPECT_GE(luminance(entries[i]), luminance(entries[i - 1]) - 0.002) << colorMapName(map) << " entry " << i;
        EXPECT_GT(luminance(entries.back()), luminance(entries.front()) + 0.4) << colorMapName(map);
    }
}

// Ends of matplotlib 3.8's tables, rounded to bytes.
TEST(ColorMaps, AreThoseOfMatplotlib)
{
    EXPECT_EQ(colorMapEntries(ColorMap::Viridis).front(), qRgb(68, 1, 84));
    EXPECT_EQ(colorMapEntries(ColorMap::Viridis).back(), qRgb(253, 231, 37));
    EXPECT_EQ(colorMapEntries(ColorMap::Cividis).front(), qRgb(0, 34, 78));
    EXPECT_EQ(colorMapEntries(ColorMap::Magma).back(), qRgb(252, 253, 191));
    EXPECT_EQ(colorMapEntries(ColorMap::Inferno).back(), qRgb(252, 255, 164));
}

TEST(ColorMaps, HaveNamesThatReadBack)
{
    for (const ColorMap map : allColorMaps)
        EXPECT_EQ(colorMapFromName(colorMapName(map)), map);
    for (const ColorScale scale : allColorScales)
        EXPECT_EQ(colorScaleFromName(colorScaleName(scale)), scale);
    EXPECT_EQ(colorMapFromName("jet"), std::nullopt);
}

TEST(ColorTable, ColoursEveryHalfLikeItsFloatValue)
{
    for (const ColorScale scale : allColorScales) {
        const ColorTable table(ColorMap::Magma, scale, {1e-3, 0.5});
        const auto entries = colorMapEntries(ColorMap::Magma);
        for (int code = 0; code <= 0xffff; ++code) {
            const auto half = static_cast<Half>(code);
            const double value = static_cast<double>(halfToFloat(half));
            if (std::isnan(value)) {
                EXPECT_EQ(table.color(half), 0U);
                continue;
            }
            double place = 0.0;
            if (scale == ColorScale::Linear)
                place = (value - 1e-3) / (0.5 - 1e-3);
            else if (scale == ColorScale::Logarithmic)
                place = value <= 0 ? 0.0 : std::log(value / 1e-3) / std::log(0.5 / 1e-3);
            else
                place = (std::sqrt(std::max(value, 0.0)) - std::sqrt(1e-3)) / (std::sqrt(0.5) - std::sqrt(1e-3));
            // Half a step of the map either way: rounding may differ where two entries meet.
            const double index = std::clamp(place, 0.0, 1.0) * 255.0;
            const QRgb lower = entries[static_cast<std::size_t>(std::max(0.0, std::floor(index)))];
            const QRgb upper = entries[static_cast<std::size_t>(std::ceil(index))];
            ASSERT_TRUE(table.color(half) == lower || table.color(half) == upper) << value;
        }
    }
}

TEST(ColorTable, PositionAndValueAreInverse)
{
    for (const ColorScale scale : allColorScales) {
        const ColorTable table(ColorMap::Viridis, scale, {1e-4, 1.0});
        for (const double position : {0.0, 0.25, 0.5, 1.0})
            EXPECT_NEAR(table.position(table.valueAt(position)), position, 1e-9);
    }
}

TEST(ColorTable, SurvivesSenselessRanges)
{
    EXPECT_LT(ColorTable(ColorMap::Grey, ColorScale::Linear, {1.0, 0.0}).range().low,
        ColorTable(ColorMap::Grey, ColorScale::Linear, {1.0, 0.0}).range().high);
    EXPECT_GT(ColorTable(ColorMap::Grey, ColorScale::Logarithmic, {0.0, 1.0}).range().low, 0.0);
    EXPECT_EQ(ColorTable(ColorMap::Grey, ColorScale::Linear, {NAN, INFINITY}).range(), ColorRange{});
}

TEST(ColorTable, OfDifferencesIsWhiteAtZeroAndAlikeOnBothSides)
{
    const auto entries = colorMapEntries(ColorMap::Diverging);
    for (const ColorScale scale : allColorScales) {
        const ColorTable table(ColorMap::Diverging, scale, {1e-4, 0.5});
        EXPECT_EQ(table.position(0.0), 0.5);
        EXPECT_EQ(table.position(0.5), 1.0);
        EXPECT_EQ(table.position(-0.7), 0.0);
        EXPECT_NEAR(table.position(-0.01), 1.0 - table.position(0.01), 1e-12);
        EXPECT_NEAR(table.valueAt(table.position(-0.02)), -0.02, 1e-9);
        EXPECT_GT(luminance(table.color(floatToHalf(0.0F))), 0.85);
        EXPECT_EQ(table.color(floatToHalf(-1.0F)), entries.front());
        EXPECT_EQ(table.color(floatToHalf(1.0F)), entries.back());
    }
    for (std::size_t i = 1; i < 128; ++i) {
        EXPECT_GE(luminance(entries[i]), luminance(entries[i - 1]) - 0.002) << "entry " << i;
        EXPECT_GE(luminance(entries[255 - i]), luminance(entries[256 - i]) - 0.002) << "entry " << 255 - i;
    }
    EXPECT_GT(qBlue(entries[40]), qRed(entries[40]) + 60);
    EXPECT_GT(qRed(entries[215]), qBlue(entries[215]) + 60);
}

TEST(ColorBarTicks, OfDifferencesAreThoseOfBothSigns)
{
    const auto ticks = colorBarTicks(ColorTable(ColorMap::Diverging, ColorScale::Logarithmic, {1e-4, 1.0}), 0.08);
    ASSERT_GE(ticks.size(), 5U);
    EXPECT_EQ(ticks.size() % 2, 1U);
    EXPECT_EQ(ticks[ticks.size() / 2], 0.0);
    for (std::size_t i = 0; i < ticks.size(); ++i)
        EXPECT_NEAR(ticks[i], -ticks[ticks.size() - 1 - i], 1e-12);
    EXPECT_NEAR(ticks.back(), 1.0, 1e-12);
}

TEST(ColorBarTicks, AreDecadesOnALogarithmicScale)
{
    const ColorTable table(ColorMap::Viridis, ColorScale::Logarithmic, {1e-4, 1.0});
    const auto ticks = colorBarTicks(table, 0.2);
    ASSERT_EQ(ticks.size(), 5U);
    for (std::size_t i = 0; i < ticks.size(); ++i)
        EXPECT_NEAR(ticks[i], std::pow(10.0, static_cast<double>(i) - 4.0), 1e-12);
}

TEST(ColorBarTicks, KeepTheirDistance)
{
    for (const ColorScale scale : allColorScales) {
        const ColorTable table(ColorMap::Viridis, scale, {0.003, 0.7});
        const auto ticks = colorBarTicks(table, 0.08);
        EXPECT_GE(ticks.size(), 3U);
        for (std::size_t i = 1; i < ticks.size(); ++i)
            EXPECT_GE(table.position(ticks[i]) - table.position(ticks[i - 1]), 0.08 - 1e-9);
    }
}

} // namespace
} // namespace kvloupe
