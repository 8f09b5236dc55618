// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/task.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// A multiple choice question of a data set.
struct ChoiceQuestion {
    std::string id;
    std::string subject; ///< of MMLU, else empty
    std::string question;
    std::vector<std::string> choices; ///< A, B, ...
    std::size_t right = 0;
};

/// Instruction, examples and the question in the form "QUESTION\nA. ...\nB. ...\nAnswer: B"; `label` stands before each
/// question ("Question: " or nothing). One letter answers.
TaskItem choiceItem(std::string_view instruction, std::string_view label, std::span<const ChoiceQuestion> shots,
    const ChoiceQuestion& asked);

Judgement judgeChoice(const TaskItem& item, std::string_view output);

} // namespace kvloupe
