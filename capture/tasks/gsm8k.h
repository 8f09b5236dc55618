// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/task.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kvloupe {

/// A line of GSM8K (Cobbe et al. 2021): {"question": ..., "answer": "... <<48/2=24>>24 ...\n#### 72"}.
struct Gsm8kProblem {
    std::int64_t line = 0;
    std::string question;
    std::string solution; ///< without calculator notes and the line "####"
    std::string answer; ///< behind "####", without commas
};
std::vector<Gsm8kProblem> readGsm8k(const std::filesystem::path& file);

/// AR on GSM8K as lm-evaluation-harness's gsm8k_cot words it: "Q: ...\n\nA: ... The answer is 72." Examples come from
/// the second file or from the first lines. The number counts as text ("18.0" is not "18"), as there.
class Gsm8kTask final : public Task {
public:
    Gsm8kTask();

private:
    std::vector<TaskItem> makeItems(const TaskOptions& options) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

} // namespace kvloupe
