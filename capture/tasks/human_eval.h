// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/task.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// A line of HumanEval (Chen et al. 2021): {"task_id", "prompt", "entry_point", "canonical_solution", "test"}.
struct HumanEvalProblem {
    std::string id; ///< "HumanEval/0"
    std::string prompt; ///< imports, signature and docstring
    std::string entryPoint;
    std::string solution;
    std::string test; ///< defines check(candidate)
};
/// Reads .jsonl and .jsonl.gz.
std::vector<HumanEvalProblem> readHumanEval(const std::filesystem::path& file);

/// The program that judges a response: the prompt with its completion (or the response itself where it defines the
/// function), the test, and at the end a line that only a passed test prints.
std::string humanEvalProgram(const TaskItem& item, std::string_view response, std::string_view passedLine);

/// CG on HumanEval: pass@1 of one greedy completion. Judging runs the code in an IsolatedRun. Without examples by
/// default; examples are whole functions of the second file or of the first lines.
class HumanEvalTask final : public Task {
public:
    HumanEvalTask();

private:
    std::vector<TaskItem> makeItems(const TaskOptions& options) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

} // namespace kvloupe
