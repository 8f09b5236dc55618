// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/generated_task.h"

namespace kvloupe {

/// WK: capitals, continents, chemical symbols, currencies, young animals, opposites. The examples ask for the same kind
/// of fact in the same words. Level 1: capitals and continents of countries that everybody knows; level 2: all of it;
/// level 3: capitals and continents of countries less often asked for, symbols, currencies.
class WorldKnowledgeTask final : public GeneratedTask {
public:
    WorldKnowledgeTask();
    std::uint64_t poolSize(int level) const override;

private:
    TaskItem makeItem(const TaskOptions& options, const Place& place) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

} // namespace kvloupe
