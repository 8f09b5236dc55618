// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/choice_question.h"

#include <filesystem>

namespace kvloupe {

/// Reads a subject of MMLU (Hendrycks et al. 2021): CSV without a header, question, A, B, C, D, answer letter. The
/// subject is the file's name without _test, _dev or _val.
std::vector<ChoiceQuestion> readMmlu(const std::filesystem::path& file);

/// WK on MMLU as lm-evaluation-harness's mmlu_generative words it. `data` is a subject's file or the published folder
/// (with test/ and dev/, or the files themselves). Examples come from the second file or folder, else from dev/ of the
/// published folder, else from the first lines of each subject.
class MmluTask final : public Task {
public:
    MmluTask();

private:
    std::vector<TaskItem> makeItems(const TaskOptions& options) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

} // namespace kvloupe
