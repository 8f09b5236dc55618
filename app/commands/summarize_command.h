// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace CLI {
class App;
}

namespace kvloupe {

/// `kvloupe summarize RESULTS.jsonl... [--by task,method,keep] [--csv|--latex|--json]`: accuracy, relative drop, paired
/// tests and what the budgets really were, by model, task, method and budget.
void addSummarizeCommand(CLI::App& program);

} // namespace kvloupe
