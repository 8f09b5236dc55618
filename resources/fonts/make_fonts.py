#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the fonts that figures are set in, so that the same figure has the same bytes on every machine.

Subsets of Liberation Sans (metrics of Arial and Helvetica) for text and of DejaVu Sans for signs it lacks, under names of
their own: their licences ask for that of changed versions, and a font of the system cannot get in their way. Needs fontTools
and Debian's fonts-liberation2 and fonts-dejavu-core.
"""
import pathlib
import sys

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

TEXT = [(0x20, 0x7E), (0xA0, 0x17F), (0x192, 0x192), (0x2C6, 0x2DD), (0x370, 0x52F), (0x1E00, 0x1EFF), (0x2010, 0x2044),
        (0x2070, 0x2095), (0x20A0, 0x20BF), (0x2100, 0x215E), (0x2190, 0x2195), (0x2200, 0x22FF), (0xFB01, 0xFB02),
        (0xFFFD, 0xFFFD)]
SIGNS = [(0x2080, 0x209C), (0x2150, 0x21FF), (0x2200, 0x22FF), (0x2300, 0x23FF), (0x2400, 0x2426), (0x2460, 0x2473),
         (0x2500, 0x25FF), (0x2600, 0x2671), (0x2700, 0x27BE), (0x27E8, 0x27EB), (0x2A7D, 0x2A7E)]


def make(source, target, family, ranges):
    font = TTFont(source, recalcTimestamp=False)
    options = Options()
    options.layout_features = ["kern", "mark", "mkmk", "ccmp"]
    options.hinting = False
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[code for first, last in ranges for code in range(first, last + 1)])
    subsetter.subset(font)
    style = font["name"].getDebugName(2)
    names = {1: family, 3: f"{family} {style}", 4: f"{family} {style}", 6: f"{family}-{style}".replace(" ", "")}
    for record in font["name"].names:
        if record.nameID in names:
            record.string = names[record.nameID]
    font.save(target)


def main():
    fonts = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/fonts/truetype")
    here = pathlib.Path(__file__).parent
    make(fonts / "liberation2/LiberationSans-Regular.ttf", here / "figure_text.ttf", "KVLoupe Text", TEXT)
    make(fonts / "liberation2/LiberationSans-Bold.ttf", here / "figure_text_bold.ttf", "KVLoupe Text", [(0x20, 0x7E)])
    make(fonts / "dejavu/DejaVuSans.ttf", here / "figure_signs.ttf", "KVLoupe Signs", SIGNS)


if __name__ == "__main__":
    main()
