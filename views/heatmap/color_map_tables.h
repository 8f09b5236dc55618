// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QRgb>

#include <array>

/// Opaque sRGB entries from low to high.
namespace kvloupe::color_map_tables {

extern const std::array<QRgb, 256> viridis;
extern const std::array<QRgb, 256> cividis;
extern const std::array<QRgb, 256> magma;
extern const std::array<QRgb, 256> inferno;
extern const std::array<QRgb, 256> grey;
extern const std::array<QRgb, 256> diverging;

} // namespace kvloupe::color_map_tables
