// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/generated_task.h"

namespace kvloupe {

/// CSR: which of these is what is asked for. The choices stand in the question and the answer is one of them by name.
/// Level 1: three choices, what is a fruit (a tool, a bird, ...), the examples ask for the same kind; level 2: three
/// choices, what is used for this, is like this, is found where; level 3: the same with four choices and letters,
/// answered by letter.
class CommonSenseTask final : public GeneratedTask {
public:
    CommonSenseTask();
    std::uint64_t poolSize(int level) const override;

private:
    TaskItem makeItem(const TaskOptions& options, const Place& place) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

} // namespace kvloupe
