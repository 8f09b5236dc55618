// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/generated_task.h"

namespace kvloupe {

/// QA: facts about people, one a sentence, and a question that needs one of them, the only one of its kind (level 1) or
/// one among others (level 2), two (level 3) or three (level 4). Every
/// sentence is a shot, as arXiv 2502.01941 treats HotpotQA, so that methods that keep whole shots keep whole sentences;
/// TaskOptions::shots is the number of sentences. The sentences that are needed are evidence. Three small worked
/// examples about other people stand in the instruction; their answers repeat the facts that are needed, which a small
/// model does better than it names a single word.
class MultiFactTask final : public GeneratedTask {
public:
    MultiFactTask();
    std::uint64_t poolSize(int level) const override;

private:
    TaskItem makeItem(const TaskOptions& options, const Place& place) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

} // namespace kvloupe
