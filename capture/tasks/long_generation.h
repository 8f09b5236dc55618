// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/generated_task.h"

#include <span>
#include <string>
#include <string_view>

namespace kvloupe {

/// LG: K questions answered in one response ("Answer_1: ..."). The examples are whole sheets of K questions with all
/// their answers. Level 1: five capitals; level 2: five word problems of one step; level 3: twenty of them.
/// TaskOptions::questions sets any K.
class LongGenerationTask final : public GeneratedTask {
public:
    LongGenerationTask();
    std::uint64_t poolSize(int level) const override;

private:
    TaskItem makeItem(const TaskOptions& options, const Place& place) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

/// Reads "Answer_i:" parts numbered from `firstPart` and compares each with its gold answer: a number with the one
/// behind "answer is" or else the last, a name with the words of the part. The score divides by all questions, those
/// without an answer included; of several parts with one number the first counts.
Judgement judgeNumberedAnswers(std::string_view output, std::span<const std::string> golds, int firstPart);

} // namespace kvloupe
