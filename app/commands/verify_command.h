// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace CLI {
class App;
}

namespace kvloupe {

/// `kvloupe verify REC`: checks that a recording is whole and agrees with itself; names what does not.
void addVerifyCommand(CLI::App& program);

} // namespace kvloupe
