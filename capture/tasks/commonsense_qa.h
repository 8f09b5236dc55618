// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/choice_question.h"

#include <filesystem>

namespace kvloupe {

/// Reads CommonsenseQA (Talmor et al. 2019), a line {"id", "question": {"stem", "choices": [{"label", "text"}, ...]},
/// "answerKey"}. The published test split has no answers and is refused.
std::vector<ChoiceQuestion> readCommonsenseQa(const std::filesystem::path& file);

/// CSR on CommonsenseQA: "Question: ...\nA. ...\nAnswer:", one letter answers. Examples come from the second file or
/// from the first lines.
class CommonsenseQaTask final : public Task {
public:
    CommonsenseQaTask();

private:
    std::vector<TaskItem> makeItems(const TaskOptions& options) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

} // namespace kvloupe
