// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace CLI {
class App;
}

namespace kvloupe {

void addEvaluateCommand(CLI::App& program);

} // namespace kvloupe
