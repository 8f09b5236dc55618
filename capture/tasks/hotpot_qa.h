// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/task.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace kvloupe {

/// An entry of HotpotQA (Yang et al. 2018), a JSON list of {"_id", "question", "answer", "context": [[title, [sentence,
/// ...]], ...], "supporting_facts": [[title, sentence number], ...]}.
struct HotpotQuestion {
    struct Paragraph {
        std::string title;
        std::vector<std::string> sentences;
    };
    std::string id;
    std::string question;
    std::string answer;
    std::vector<Paragraph> context;
    std::vector<std::pair<std::size_t, std::size_t>> evidence; ///< paragraph, sentence
};
std::vector<HotpotQuestion> readHotpotQa(const std::filesystem::path& file);

/// QA on HotpotQA. Every sentence is a shot, titles belong to the context only; supporting facts are evidence. Right is
/// a response whose first line holds the answer after normalisation (lower case, no punctuation, no articles); for
/// "yes" and "no" it must begin with it.
class HotpotQaTask final : public Task {
public:
    HotpotQaTask();

private:
    std::vector<TaskItem> makeItems(const TaskOptions& options) const override;
    Judgement judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const override;
};

} // namespace kvloupe
