#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes views/heatmap/color_map_tables.cpp from matplotlib's colour map tables (CC0) and one of our own.

usage: make_colormaps.py path/to/matplotlib/_cm_listed.py > views/heatmap/color_map_tables.cpp
"""
import sys


def listed(path):
    """The 256 x 3 tables, without importing matplotlib itself."""
    source = open(path, encoding="utf-8").read().split("from .colors", 1)
    text = "".join(part if i == 0 else part[part.index("\n"):] for i, part in enumerate(source))
    tables = {}
    exec(text.split("\ncmaps =", 1)[0], tables)  # noqa: S102 - a file of literals that the caller chose
    return tables


def diverging():
    """Blue, white, brown through five colours of ours, straight lines in Oklab: lightness falls evenly to both ends."""
    def to_lab(code):
        r, g, b = ((v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4)
                   for v in (int(code[i:i + 2], 16) / 255 for i in (0, 2, 4)))
        l, m, s = ((0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3),
                   (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3),
                   (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3))
        return (0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
                1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
                0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s)

    def to_rgb(lab):
        big_l, a, b = lab
        l, m, s = ((big_l + 0.3963377774 * a + 0.2158037573 * b) ** 3,
                   (big_l - 0.1055613458 * a - 0.0638541728 * b) ** 3,
                   (big_l - 0.0894841775 * a - 1.2914855480 * b) ** 3)
        linear = (4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
                  -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
                  -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)
        return [min(1.0, max(0.0, v * 12.92 if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055)) for v in linear]

    anchors = [to_lab(code) for code in ("08306b", "4a90c8", "f7f7f7", "d98a3d", "6b2e00")]
    rows = []
    for i in range(256):
        place = i / 255 * (len(anchors) - 1)
        at = min(int(place), len(anchors) - 2)
        rows.append(to_rgb([x + (y - x) * (place - at) for x, y in zip(anchors[at], anchors[at + 1])]))
    return rows


def main():
    tables = listed(sys.argv[1])
    maps = {name: tables[f"_{name}_data"] for name in ("viridis", "cividis", "magma", "inferno")}
    maps["grey"] = [[i / 255] * 3 for i in range(256)]
    maps["diverging"] = diverging()
    out = ["// SPDX-License-Identifier: GPL-3.0-or-later",
           "// Made by scripts/make_colormaps.py from matplotlib's tables (CC0), but for the last one. Do not edit.",
           "", '#include "views/heatmap/color_map_tables.h"', "", "namespace kvloupe::color_map_tables {", "",
           "// clang-format off"]
    for name, rows in maps.items():
        out.append(f"const std::array<QRgb, 256> {name} {{")
        codes = ["0xff" + "".join(f"{int(c * 255 + 0.5):02x}" for c in row) for row in rows]
        for i in range(0, 256, 8):
            out.append("    " + ", ".join(codes[i:i + 8]) + ",")
        out.append("};")
    out += ["// clang-format on", "", "} // namespace kvloupe::color_map_tables"]
    print("\n".join(out))


if __name__ == "__main__":
    main()
