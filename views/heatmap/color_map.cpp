// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/color_map.h"

#include "views/heatmap/color_map_tables.h"

#include <algorithm>
#include <cmath>

namespace kvloupe {
namespace {

constexpr double smallestHalf = 5.9604644775390625e-8; // 2^-24, the smallest positive half
constexpr std::size_t halfCount = 65536;

double scaled(ColorScale scale, double value)
{
    switch (scale) {
    case ColorScale::Linear:
        break;
    case ColorScale::Logarithmic:
        return std::log(std::max(value, smallestHalf));
    case ColorScale::SquareRoot:
        return std::sqrt(std::max(value, 0.0));
    }
    return value;
}

double unscaled(ColorScale scale, double value)
{
    switch (scale) {
    case ColorScale::Linear:
        break;
    case ColorScale::Logarithmic:
        return std::exp(value);
    case ColorScale::SquareRoot:
        return value * value;
    }
    return value;
}

ColorRange validRange(ColorMap map, ColorScale scale, ColorRange range)
{
    if (!std::isfinite(range.low) || !std::isfinite(range.high))
        range = {};
    if (map == ColorMap::Diverging && scale != ColorScale::Logarithmic)
        range.low = 0.0; // the middle is 0
    if (scale == ColorScale::Logarithmic)
        range.low = std::max(range.low, smallestHalf);
    if (range.high <= range.low)
        range.high = range.low + std::max(std::abs(range.low), smallestHalf);
    return range;
}

template <typename Value, std::size_t Count, typename Name>
std::optional<Value> fromName(const std::array<Value, Count>& values, std::string_view name, Name nameOf)
{
    const auto found = std::ranges::find(values, name, nameOf);
    return found == values.end() ? std::nullopt : std::optional(*found);
}

} // namespace

std::string_view colorMapName(ColorMap map)
{
    switch (map) {
    case ColorMap::Viridis:
        return "viridis";
    case ColorMap::Cividis:
        return "cividis";
    case ColorMap::Magma:
        return "magma";
    case ColorMap::Inferno:
        return "inferno";
    case ColorMap::Grey:
        return "grey";
    case ColorMap::Diverging:
        break;
    }
    return "diverging";
}

std::optional<ColorMap> colorMapFromName(std::string_view name)
{
    return fromName(allColorMaps, name, colorMapName);
}

std::string_view colorScaleName(ColorScale scale)
{
    switch (scale) {
    case ColorScale::Linear:
        return "linear";
    case ColorScale::Logarithmic:
        return "log";
    case ColorScale::SquareRoot:
        break;
    }
    return "sqrt";
}

std::optional<ColorScale> colorScaleFromName(std::string_view name)
{
    return fromName(allColorScales, name, colorScaleName);
}

std::span<const QRgb, 256> colorMapEntries(ColorMap map)
{
    switch (map) {
    case ColorMap::Viridis:
        return color_map_tables::viridis;
    case ColorMap::Cividis:
        return color_map_tables::cividis;
    case ColorMap::Magma:
        return color_map_tables::magma;
    case ColorMap::Inferno:
        return color_map_tables::inferno;
    case ColorMap::Grey:
        return color_map_tables::grey;
    case ColorMap::Diverging:
        break;
    }
    return color_map_tables::diverging;
}

ColorTable::ColorTable(ColorMap map, ColorScale scale, ColorRange range)
    : m_map(map)
    , m_scale(scale)
    , m_range(validRange(map, scale, range))
    , m_colors(halfCount)
{
    const auto entries = colorMapEntries(map);
    for (std::size_t code = 0; code < halfCount; ++code) {
        const float value = halfToFloat(static_cast<Half>(code));
        if (std::isnan(value))
            continue;
        m_colors[code] = entries[static_cast<std::size_t>(std::lround(position(static_cast<double>(value)) * 255.0))];
    }
}

double ColorTable::magnitudePosition(double value) const
{
    const double low = scaled(m_scale, m_range.low);
    const double high = scaled(m_scale, m_range.high);
    return std::clamp((scaled(m_scale, value) - low) / (high - low), 0.0, 1.0);
}

double ColorTable::magnitudeAt(double position) const
{
    const double low = scaled(m_scale, m_range.low);
    const double high = scaled(m_scale, m_range.high);
    return unscaled(m_scale, low + std::clamp(position, 0.0, 1.0) * (high - low));
}

double ColorTable::position(double value) const
{
    if (m_map != ColorMap::Diverging)
        return magnitudePosition(value);
    return 0.5 + std::copysign(magnitudePosition(std::abs(value)) / 2.0, value);
}

double ColorTable::valueAt(double position) const
{
    if (m_map != ColorMap::Diverging)
        return magnitudeAt(position);
    const double side = std::clamp(position, 0.0, 1.0) * 2.0 - 1.0;
    return side == 0.0 ? 0.0 : std::copysign(magnitudeAt(std::abs(side)), side);
}

} // namespace kvloupe
