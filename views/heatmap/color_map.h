// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/half.h"

#include <QRgb>
#include <QString>

#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace kvloupe {

/// Perceptually uniform colour maps; the tables are matplotlib's (CC0), see scripts/make_colormaps.py. Diverging is for
/// differences alone: blue for negative, white, brown for positive values, which every colour vision tells apart.
enum class ColorMap { Viridis, Cividis, Magma, Inferno, Grey, Diverging };
/// Those that a user chooses from.
inline constexpr std::array allColorMaps{
    ColorMap::Viridis, ColorMap::Cividis, ColorMap::Magma, ColorMap::Inferno, ColorMap::Grey};

/// How a probability becomes a position on the colour map.
enum class ColorScale { Linear, Logarithmic, SquareRoot };
inline constexpr std::array allColorScales{ColorScale::Linear, ColorScale::Logarithmic, ColorScale::SquareRoot};

/// Names in settings, figure files and on the command line: "viridis", "log", ...
std::string_view colorMapName(ColorMap map);
std::optional<ColorMap> colorMapFromName(std::string_view name);
std::string_view colorScaleName(ColorScale scale); ///< "linear", "log", "sqrt"
std::optional<ColorScale> colorScaleFromName(std::string_view name);

/// 256 opaque entries from low to high.
std::span<const QRgb, 256> colorMapEntries(ColorMap map);

/// Values shown as the first and the last colour; those outside are clamped. low < high; a logarithmic scale needs low
/// > 0 (a smaller low is raised to the smallest positive half). On a diverging map `high` is the largest magnitude of
/// either sign, and on a logarithmic scale `low` the magnitude below which a value is 0.
struct ColorRange {
    double low = 1e-4;
    double high = 1.0;

    bool operator==(const ColorRange&) const = default;
};

/// Colours of all 65,536 halves for one (map, scale, range), so that colouring a cell is one look-up. 256 KiB.
class ColorTable {
public:
    ColorTable(ColorMap map, ColorScale scale, ColorRange range);

    ColorMap map() const { return m_map; }
    ColorScale scale() const { return m_scale; }
    ColorRange range() const { return m_range; }

    /// Premultiplied ARGB; transparent for NaN.
    QRgb color(Half value) const { return m_colors[value]; }
    const QRgb* data() const { return m_colors.data(); }

    /// Place of `value` on the colour map, clamped to [0, 1].
    double position(double value) const;
    /// The inverse of position.
    double valueAt(double position) const;

private:
    /// Place of a value that is not negative between low and high.
    double magnitudePosition(double value) const;
    double magnitudeAt(double position) const;

    ColorMap m_map;
    ColorScale m_scale;
    ColorRange m_range;
    std::vector<QRgb> m_colors;
};

} // namespace kvloupe
