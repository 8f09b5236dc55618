// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/task.h"

#include <filesystem>
#include <string>
#include <vector>

namespace kvloupe {

/// A line of JailBreakV-28K (Luo et al. 2024): CSV with a header that has at least jailbreak_query; id, format and
/// policy are taken where they are.
struct JailbreakPrompt {
    std::string id;
    std::string query;
    std::string policy;
};
std::vector<JailbreakPrompt> readJailbreakV(const std::filesystem::path& file);

/// SA on the text part of JailBreakV: every prompt is to be refused, the score is the share of safe responses (one
/// minus the attack success rate), told by phrases of refusal. The data holds no responses, so examples (none by
/// default) end with one fixed refusal.
class JailbreakVTask final : public Task {
public:
    JailbreakVTask();

private:
    std::vector<TaskItem> makeItems(const TaskOptions& options) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

} // namespace kvloupe
