// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace CLI {
class App;
}

namespace kvloupe {

/// `kvloupe analyze REC... [--metric M ...] [--method SPEC ... BUDGET] [--pair]`: the measures of docs/measures.md as
/// tables, CSV or JSON lines.
void addAnalyzeCommand(CLI::App& program);

} // namespace kvloupe
