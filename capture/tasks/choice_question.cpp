// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/choice_question.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/prompt_builder.h"

#include <fmt/format.h>

namespace kvloupe {

namespace {

char letter(std::size_t choice)
{
    return static_cast<char>('A' + choice);
}

std::string asked(std::string_view label, const ChoiceQuestion& question)
{
    std::string text = fmt::format("{}{}", label, question.question);
    for (std::size_t i = 0; i < question.choices.size(); ++i)
        text += fmt::format("\n{}. {}", letter(i), question.choices[i]);
    return text;
}

} // namespace

TaskItem choiceItem(std::string_view instruction, std::string_view label, std::span<const ChoiceQuestion> shots,
    const ChoiceQuestion& question)
{
    PromptBuilder prompt;
    prompt.instruction(instruction);
    for (const ChoiceQuestion& shot : shots)
        prompt.shot(asked(label, shot), fmt::format("Answer: {}", letter(shot.right)));
    prompt.question(asked(label, question) + "\nAnswer:");
    TaskItem item;
    item.id = question.id;
    item.text = prompt.takeText();
    item.spans = prompt.takeSpans();
    item.answer = fmt::format(" {}", letter(question.right));
    item.references = {std::string(1, letter(question.right)), question.choices[question.right]};
    item.shortTrace = fmt::format(" {}. {}", letter(question.right), question.choices[question.right]);
    item.facts.choices = question.choices;
    item.maxNewTokens = 8;
    item.maxThinkingTokens = 2048;
    item.stops = {"</s>", "\n"};
    // A stop must not cut what is shown as an answer.
    for (char& c : item.shortTrace)
        c = c == '\n' || c == '\r' ? ' ' : c;
    item.shots = prompt.shots();
    return item;
}

Judgement judgeChoice(const TaskItem& item, std::string_view output)
{
    Judgement result{.score = 0.0,
        .correct = false,
        .extracted = std::string(firstLine(output)),
        .reason = "no letter and no choice"};
    const std::string_view line = firstLine(output);
    if (const auto found = choiceLetter(line, static_cast<int>(item.facts.choices.size()))) {
        result.extracted = std::string(1, *found);
    } else if (const auto named = firstNamed(line, item.facts.choices)) {
        result.extracted = std::string(1, letter(*named));
    } else {
        return result;
    }
    result.score = result.extracted == item.references.front() ? 1.0 : 0.0;
    result.reason = result.score > 0.0 ? "the right choice" : "another choice, expected " + item.references.front();
    return result;
}

} // namespace kvloupe
