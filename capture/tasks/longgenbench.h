// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/task.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// LongGenBench's prompt file: "Question_1:" ... "Question_8:", then "Answer_1:" ... "Answer_8:".
struct LongGenBenchPrompt {
    std::string text; ///< as in the file, without blanks at its ends
    std::vector<Span> parts; ///< bytes of each question and each answer, in order, as ShotQuestion and ShotAnswer
    int examples = 0;
};
/// Throws TaskError if the numbers do not run from 1 or if questions and answers differ in number.
LongGenBenchPrompt readLongGenBenchPrompt(const std::filesystem::path& file);

/// LG on LongGenBench-GSM8K (Liu et al. 2024): K GSM8K questions in one prompt behind the prompt file, numbered on from
/// its examples. `data` is GSM8K's test file, `promptFile` the prompt file; K = TaskOptions::questions, 30 by default;
/// number t asks lines t K ... t K + K - 1, an incomplete last sheet is left out. The score divides by all K.
///
/// The prompt file has all its questions before all its answers, so a question and its answer are two shots of their
/// own; all of them are always there.
class LongGenBenchTask final : public Task {
public:
    LongGenBenchTask();

private:
    std::vector<TaskItem> makeItems(const TaskOptions& options) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

} // namespace kvloupe
