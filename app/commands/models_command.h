// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace CLI {
class App;
}

namespace kvloupe {

/// `kvloupe models [fetch NAME | inspect PATH] [--json]`: models known by name, getting one, and what a file holds.
void addModelsCommand(CLI::App& program);

} // namespace kvloupe
