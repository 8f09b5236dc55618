// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace CLI {
class App;
}

namespace kvloupe {

/// `kvloupe replay REC --method SPEC ... BUDGET`: which tokens each method keeps, one JSON object per line.
void addReplayCommand(CLI::App& program);

} // namespace kvloupe
