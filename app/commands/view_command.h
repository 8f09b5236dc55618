// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace CLI {
class App;
}

namespace kvloupe {

/// `kvloupe view [FILES]`: opens the window, or writes a picture of it.
void addViewCommand(CLI::App& program);

} // namespace kvloupe
