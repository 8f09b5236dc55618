// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace CLI {
class App;
}

namespace kvloupe {

/// `kvloupe tokenize MODEL|FOLDER [--lines F | --json-lines F] [--special] [--template] [--offsets]`: one JSON list of
/// token ids per line of input.
void addTokenizeCommand(CLI::App& program);

} // namespace kvloupe
