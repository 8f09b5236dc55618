// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/generated_task.h"

namespace kvloupe {

/// NIAH: a number of four digits in one sentence of a long text, then the question for it. Depth and length are
/// options; without them the depth runs through 0, 0.1, ..., 1 in a random order and the text has some 400 words. With
/// TaskOptions::data the filler is a folder of essays. Level 1: one needle; level 2: three more, of other places,
/// distract; level 3: nine more. Shots are examples without filler.
class NeedleRetrievalTask final : public GeneratedTask {
public:
    NeedleRetrievalTask();
    std::uint64_t poolSize(int level) const override;

private:
    std::vector<std::string> material(const TaskOptions& options) const override;
    TaskItem makeItem(const TaskOptions& options, const Place& place) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

} // namespace kvloupe
