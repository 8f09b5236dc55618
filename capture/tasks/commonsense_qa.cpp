// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/commonsense_qa.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/data_file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace kvloupe {

std::vector<ChoiceQuestion> readCommonsenseQa(const std::filesystem::path& file)
{
    constexpr std::size_t mostChoices = 10;
    std::vector<ChoiceQuestion> questions;
    readJsonLines(file, [&](const nlohmann::json& object, const DataPlace& place, std::int64_t line) {
        ChoiceQuestion question;
        question.id = object.contains("id") ? place.string(object, "id") : fmt::format("commonsense_qa:{}", line);
        const nlohmann::json& inner = place.member(object, "question");
        question.question = trimmedText(place.string(inner, "stem"));
        const nlohmann::json& choices = place.member(inner, "choices");
        if (!choices.is_array() || choices.size() < 2 || choices.size() > mostChoices)
            place.fail("choices", choices.is_array() ? fmt::format("{} of them", choices.size()) : choices.type_name(),
                fmt::format("a list of 2 to {}", mostChoices));
        const std::string key = place.string(object, "answerKey");
        bool found = false;
        for (const nlohmann::json& choice : choices) {
            if (place.string(choice, "label") == key) {
                question.right = question.choices.size();
                found = true;
            }
            question.choices.push_back(place.string(choice, "text"));
        }
        if (!found)
            place.fail("answerKey", fmt::format("\"{}\"", key.substr(0, 20)), "the label of a choice");
        questions.push_back(std::move(question));
    });
    return questions;
}

CommonsenseQaTask::CommonsenseQaTask()
    : Task({.name = "commonsense_qa",
        .category = "csr",
        .title = "CommonsenseQA",
        .defaultShots = 4,
        .maximumShots = 100,
        .readsData = true,
        .answersAtOnce = true})
{
}

std::vector<TaskItem> CommonsenseQaTask::makeItems(const TaskOptions& options) const
{
    const auto chosen = selectRecords(readCommonsenseQa(options.data),
        options.shotData.empty() ? std::vector<ChoiceQuestion>() : readCommonsenseQa(options.shotData), options);
    std::vector<TaskItem> items;
    for (const ChoiceQuestion& question : chosen.asked) {
        items.push_back(choiceItem("", "Question: ", chosen.shots, question));
        items.back().task = category();
        items.back().seed = options.seed;
    }
    return items;
}

Judgement CommonsenseQaTask::judgeAnswer(
    const TaskItem& item, std::string_view output, const JudgeOptions& /*options*/) const
{
    return judgeChoice(item, output);
}

} // namespace kvloupe
