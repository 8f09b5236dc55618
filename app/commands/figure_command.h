// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace CLI {
class App;
}

namespace kvloupe {

/// `kvloupe figure NAME|SPEC.json [RECORDING] --out FILE`: the figure that the window would export, without a display.
void addFigureCommand(CLI::App& program);

} // namespace kvloupe
