// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/common_sense.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/common_sense_facts.h"
#include "capture/tasks/item_draws.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

namespace kvloupe {

namespace {

constexpr std::size_t templateCount = 3;

/// A kind of question. {0} is what is asked about; the choices follow.
struct Kind {
    std::array<std::string_view, templateCount> questions;
    std::string_view statement; ///< {0} what is asked about, {1} the right choice
    std::span<const SenseFact> facts;
    bool asksForPlace = false; ///< the choices are `about`, not `thing`
    bool staysWithOne = false; ///< the examples ask about the same as the question: always for a fruit
};

const std::vector<Kind>& kindsOf(int level)
{
    static const std::vector<Kind> kinds{{{"Which of these is {0}:", "What is {0} of these:", "Of these, what is {0}:"},
        "Of these, {1} is {0}.", kindFacts(), false, true}};
    static const std::vector<Kind> knowledge{
        {{"Which of these do you use to {0}:", "What helps a person to {0}:", "To {0}, what do you need:"},
            "To {0} you use {1}.", useFacts()},
        {{"Which of these is {0}:", "What can be called {0}:", "Of these, what is {0}:"}, "Of these, {1} is {0}.",
            propertyFacts()},
        {{"Where would you look for {0}:", "In which place do you find {0}:", "Where is {0} most often seen:"},
            "The place for {0} is the {1}.", placeFacts(), true},
    };
    return level == 1 ? kinds : knowledge;
}

std::string_view choiceOf(const Kind& kind, const SenseFact& fact)
{
    return kind.asksForPlace ? fact.about : fact.thing;
}

struct Choices {
    std::vector<std::string> names;
    std::size_t right = 0;
};

Choices drawChoices(const Kind& kind, const SenseFact& right, std::size_t count, ItemDraws& draws)
{
    std::vector<const SenseFact*> drawn{&right};
    for (const std::size_t i : draws.distinct(kind.facts.size(), kind.facts.size())) {
        const SenseFact& fact = kind.facts[i];
        if (drawn.size() < count
            && std::ranges::none_of(drawn, [&](const SenseFact* other) { return other->group == fact.group; }))
            drawn.push_back(&fact);
    }
    draws.shuffle(drawn);
    Choices result;
    for (const SenseFact* const fact : drawn) {
        if (fact == &right)
            result.right = result.names.size();
        result.names.emplace_back(choiceOf(kind, *fact));
    }
    return result;
}

Exchange exchange(const Kind& kind, std::size_t form, const SenseFact& fact, const Choices& choices, bool letters)
{
    const std::string& right = choices.names[choices.right];
    const std::string_view about = kind.asksForPlace ? fact.thing : fact.about;
    const auto letter = [](std::size_t i) { return static_cast<char>('A' + i); };
    Exchange result;
    result.question = fmt::format(fmt::runtime(kind.questions[form]), about);
    if (letters) {
        result.question.back() = '?';
        for (std::size_t i = 0; i < choices.names.size(); ++i)
            result.question += fmt::format("\n{}. {}", letter(i), choices.names[i]);
        result.answer = std::string(1, letter(choices.right));
    } else {
        result.question += fmt::format(" {}?", alternatives(choices.names));
        result.answer = right;
    }
    std::string statement = fmt::format(fmt::runtime(kind.statement), about, right);
    result.thinking = {fmt::format("The choices are {}.", alternatives(choices.names)), statement,
        letters ? fmt::format("{} has the letter {}.", right, letter(choices.right))
                : fmt::format("So the answer is {}.", right)};
    result.shortTrace = letters ? fmt::format("{}. {}", letter(choices.right), right) : std::move(statement);
    return result;
}

} // namespace

CommonSenseTask::CommonSenseTask()
    : GeneratedTask({.name = "csr",
        .category = "csr",
        .title = "Common-sense choice",
        .defaultShots = 5,
        .maximumShots = 10,
        .levels = 3,
        .defaultLevel = 1,
        .answersAtOnce = true})
{
}

std::uint64_t CommonSenseTask::poolSize(int level) const
{
    std::uint64_t size = 0;
    for (const Kind& kind : kindsOf(level))
        size += kind.facts.size() * templateCount;
    return size;
}

TaskItem CommonSenseTask::makeItem(const TaskOptions& options, const Place& place) const
{
    std::uint64_t question = place.question;
    auto kind = kindsOf(options.level).begin();
    while (question >= kind->facts.size() * templateCount) {
        question -= kind->facts.size() * templateCount;
        ++kind;
    }
    const std::size_t form = question % templateCount;
    const SenseFact& asked = kind->facts[question / templateCount];
    const auto count = static_cast<std::size_t>(options.level == 3 ? 4 : 3);
    const bool letters = options.level == 3;

    ItemDraws draws(options.seed, "csr", place.index);
    const Choices choices = drawChoices(*kind, asked, count, draws);
    std::vector<Exchange> shots;
    for (const std::size_t i : draws.distinct(kind->facts.size(), kind->facts.size())) {
        if (static_cast<int>(shots.size()) == *options.shots)
            break;
        const SenseFact& fact = kind->facts[i];
        if (&fact != &asked && (!kind->staysWithOne || fact.about == asked.about))
            shots.push_back(exchange(*kind, form, fact, drawChoices(*kind, fact, count, draws), letters));
    }
    TaskItem item = fewShotItem(letters ? "Answer each question with the letter of the right choice."
                                        : "Answer each question with the right choice.",
        shots, exchange(*kind, form, asked, choices, letters));
    item.facts.choices = choices.names;
    if (letters)
        item.references.push_back(choices.names[choices.right]);
    item.maxNewTokens = 12;
    item.maxThinkingTokens = 160;
    item.stops = {"\n\n", "\nQuestion:"};
    return item;
}

Judgement CommonSenseTask::judgeAnswer(
    const TaskItem& item, std::string_view output, const JudgeOptions& /*options*/) const
{
    const std::string_view line = firstLine(output);
    Judgement result{.score = 0.0, .correct = false, .extracted = std::string(line), .reason = "names no choice"};
    if (const auto named = firstNamed(line, item.facts.choices)) {
        result.extracted = item.facts.choices[*named];
        result.score = result.extracted == item.references.back() ? 1.0 : 0.0;
    } else if (const auto letter = choiceLetter(line, static_cast<int>(item.facts.choices.size()));
               letter && item.references.front().size() == 1) {
        result.extracted = std::string(1, *letter);
        result.score = result.extracted == item.references.front() ? 1.0 : 0.0;
    } else {
        return result;
    }
    result.reason = result.score > 0.0 ? "the right choice" : "another choice";
    return result;
}

} // namespace kvloupe
