#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes views/heatmap/color_map_tables.cpp from matplotlib's colour map tables (CC0).

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


def main():
    tables = listed(sys.argv[1])
    maps = {name: tables[f"_{name}_data"] for name in ("viridis", "cividis", "magma", "inferno")}
    maps["grey"] = [[i / 255] * 3 for i in range(256)]
    out = ["// SPDX-License-Identifier: GPL-3.0-or-later",
           "// Made by scripts/make_colormaps.py from matplotlib's tables (CC0). Do not edit.",
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
