// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/generated_task.h"

namespace kvloupe {

/// CG: write an expression over x and y (capture/tasks/expression_language.h). What is written is run in this process
/// on a dozen pairs (x, y), so that every equivalent form counts. Level 1: one operation in words; level 2: two
/// operations in words; level 3: three values of the function are given in place of the words, and any
/// expression that has them is right.
class CodeGenerationTask final : public GeneratedTask {
public:
    CodeGenerationTask();
    std::uint64_t poolSize(int level) const override;

private:
    TaskItem makeItem(const TaskOptions& options, const Place& place) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

/// The expression in a response: its first line without "f(x, y) =", quotes, a colon before or a full stop behind.
std::string_view expressionIn(std::string_view response);

} // namespace kvloupe
