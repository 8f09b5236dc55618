// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/generated_task.h"

#include <cstdint>
#include <string>
#include <vector>

namespace kvloupe {

/// One operation on whole numbers.
struct ArithmeticStep {
    std::int64_t left = 0;
    char operation = '+'; ///< '+', '-', '*'
    std::int64_t right = 0;

    std::int64_t value() const;
    /// "42 * 7 = 294"
    std::string equation() const;
};

/// The way to a step's value digit by digit (ones, tens, carries; partial products), one line each. Every "=" in it
/// holds. Operands are not negative, nor is the value of a difference; one factor of a product is at most 99.
std::vector<std::string> digitWork(const ArithmeticStep& step);
/// The step undone: "Check: 82 - 45 = 37."
std::string inverseCheck(const ArithmeticStep& step);

/// A word problem of one or two steps with its worked answer. Number `problem` of
/// wordProblemCount(level); levels as in ArithmeticTask.
Exchange wordProblem(int level, std::uint64_t problem);
std::uint64_t wordProblemCount(int level);
std::int64_t wordProblemValue(int level, std::uint64_t problem);

/// AR: word problems with the work written out in the examples. Level 1: one step, numbers up to 20; level 2: two
/// steps, small numbers; level 3: two steps with numbers of two digits.
class ArithmeticTask final : public GeneratedTask {
public:
    ArithmeticTask();
    std::uint64_t poolSize(int level) const override;

private:
    TaskItem makeItem(const TaskOptions& options, const Place& place) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

} // namespace kvloupe
