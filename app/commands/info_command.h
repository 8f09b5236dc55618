// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace CLI {
class App;
}

namespace kvloupe {

/// `kvloupe info REC [--json]`: what is in a recording, with sizes.
void addInfoCommand(CLI::App& program);

} // namespace kvloupe
