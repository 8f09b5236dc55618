// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/long_generation.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/arithmetic.h"
#include "capture/tasks/item_draws.h"
#include "capture/tasks/world_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <map>
#include <set>
#include <vector>

namespace kvloupe {

namespace {

constexpr auto openings = std::to_array<std::string_view>({"Answer every question of the sheet in order.",
    "Here are sheets of questions. Answer all questions of each sheet.",
    "Work through all questions, one after the other."});
// The country comes first, in the answer too: a small model finds its place in the sheet by it.
constexpr auto capitalForms = std::to_array<std::string_view>(
    {"{}. What is the capital?", "{}. Which city is the capital?", "{}. Name the capital city."});

int defaultQuestions(int level)
{
    return level == 3 ? 20 : 5;
}

struct Asked {
    std::string question;
    std::string answer;
    std::string gold;
};

const std::vector<CountryFact>& wellKnownCountries()
{
    static const std::vector<CountryFact> countries = [] {
        std::vector<CountryFact> result;
        std::ranges::copy_if(
            countryFacts(), std::back_inserter(result), [](const CountryFact& fact) { return fact.level == 1; });
        return result;
    }();
    return countries;
}

/// How many different questions a sheet can be made of.
std::uint64_t questionCount(int level)
{
    return level == 1 ? wellKnownCountries().size() : wordProblemCount(1);
}

Asked questionOf(int level, std::uint64_t number, std::size_t form)
{
    if (level > 1) {
        const Exchange problem = wordProblem(1, number);
        return {problem.question, problem.answer, std::to_string(wordProblemValue(1, number))};
    }
    const CountryFact& fact = wellKnownCountries()[static_cast<std::size_t>(number)];
    return {fmt::format(fmt::runtime(capitalForms[form]), fact.country),
        fmt::format("{}. The capital is {}.", fact.country, fact.capital), std::string(fact.capital)};
}

struct Sheet {
    std::string questions; ///< "Questions:\nQuestion_1: ..."
    std::string answers; ///< "\nAnswer_1: ..."
    std::vector<std::string> golds;
    std::vector<std::string> thinking;
};

/// `first` is the number of the sheet's first question: numbers run on from sheet to sheet, as in LongGenBench, so that
/// each is there once.
Sheet sheetOf(int level, std::size_t form, const std::vector<std::uint64_t>& numbers, std::size_t first)
{
    Sheet sheet;
    sheet.questions = "Questions:";
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const Asked asked = questionOf(level, numbers[i], form);
        sheet.questions += fmt::format("\nQuestion_{}: {}", first + i, asked.question);
        sheet.answers += fmt::format("\nAnswer_{}: {}", first + i, asked.answer);
        sheet.golds.push_back(asked.gold);
        sheet.thinking.push_back(fmt::format("Number {}: {}", first + i, asked.answer));
    }
    return sheet;
}

/// Different numbers on one sheet, behind those in `numbers`; such as no sheet had before while there are any.
void fill(
    std::vector<std::uint64_t>& numbers, std::size_t count, int level, ItemDraws& draws, std::set<std::uint64_t>& used)
{
    const std::uint64_t all = questionCount(level);
    while (numbers.size() < count) {
        if (used.size() == all)
            used = {numbers.begin(), numbers.end()};
        if (const std::uint64_t drawn = draws.bits() % all; used.insert(drawn).second)
            numbers.push_back(drawn);
    }
}

} // namespace

LongGenerationTask::LongGenerationTask()
    : GeneratedTask({.name = "lg",
        .category = "lg",
        .title = "Long generation: many questions, one response",
        .defaultShots = 2,
        .maximumShots = 8,
        .levels = 3,
        .defaultLevel = 1})
{
}

std::uint64_t LongGenerationTask::poolSize(int level) const
{
    return questionCount(level) * openings.size() * (level == 1 ? capitalForms.size() : 1);
}

TaskItem LongGenerationTask::makeItem(const TaskOptions& options, const Place& place) const
{
    const int level = options.level;
    const auto count = static_cast<std::size_t>(options.questions > 0 ? options.questions : defaultQuestions(level));
    if (count > questionCount(level))
        throw TaskError(fmt::format(
            "task lg: questions: found {}, expected at most {} at level {}", count, questionCount(level), level));
    // The place decides the words and the first question of the sheet, the others are drawn.
    const std::uint64_t all = questionCount(level);
    const std::size_t opening = place.question / all % openings.size();
    const std::size_t form = static_cast<std::size_t>(place.question / all) / openings.size();
    std::vector<std::uint64_t> numbers{place.question % all};
    ItemDraws draws(options.seed, "lg", place.index);
    std::set<std::uint64_t> used{numbers.front()};
    fill(numbers, count, level, draws, used);
    const std::size_t first = static_cast<std::size_t>(*options.shots) * count + 1;
    const Sheet asked = sheetOf(level, form, numbers, first);

    PromptBuilder prompt;
    prompt.instruction(openings[opening]);
    for (int shot = 0; shot < *options.shots; ++shot) {
        std::vector<std::uint64_t> shown;
        fill(shown, count, level, draws, used);
        const Sheet sheet = sheetOf(level, form, shown, static_cast<std::size_t>(shot) * count + 1);
        prompt.shot(sheet.questions, "Answers:" + sheet.answers);
    }
    // The prompt ends in the label of the first answer: a small model loses count between the sheets.
    const std::string label = fmt::format("\nAnswer_{}:", first);
    prompt.question(asked.questions + "\nAnswers:" + label);
    TaskItem item;
    item.text = prompt.takeText();
    item.spans = prompt.takeSpans();
    item.answer = asked.answers.substr(label.size());
    item.references = asked.golds;
    item.shortTrace = item.answer;
    item.thinkingTrace = thinkingTrace(asked.thinking, asked.answers.substr(1));
    item.facts.partAnswers = asked.golds;
    item.facts.firstPart = static_cast<int>(first);
    item.maxNewTokens = static_cast<std::int64_t>(count) * 32;
    item.maxThinkingTokens = static_cast<std::int64_t>(count) * 80 + 64;
    item.stops = {"\n\n", "\nQuestions:"};
    return item;
}

Judgement LongGenerationTask::judgeAnswer(
    const TaskItem& item, std::string_view output, const JudgeOptions& /*options*/) const
{
    const bool hasLabel = trimmedText(output).starts_with("Answer_");
    return judgeNumberedAnswers(
        hasLabel ? std::string(output) : fmt::format("Answer_{}:{}", item.facts.firstPart, output),
        item.facts.partAnswers, item.facts.firstPart);
}

namespace {

/// The number behind "answer is", or else the last one; where the gold answer is a name, that name if it is there.
std::string answerIn(std::string_view part, const std::string& gold)
{
    if (!sameNumber(gold, gold))
        return findWords(loweredText(part), loweredText(gold)) == std::string_view::npos ? std::string(firstLine(part))
                                                                                         : gold;
    const std::size_t phrase = loweredText(part).find("answer is");
    if (phrase == std::string::npos)
        return flexibleNumber(part).value_or("");
    // Only the number right behind the phrase; a sentence that follows may hold others.
    const std::string_view behind = part.substr(phrase + std::string_view("answer is").size());
    const std::size_t digit = behind.find_first_of("0123456789");
    if (digit == std::string_view::npos)
        return "";
    return flexibleNumber(behind.substr(0, behind.find_first_not_of("0123456789.,", digit))).value_or("");
}

} // namespace

Judgement judgeNumberedAnswers(std::string_view output, std::span<const std::string> golds, int firstPart)
{
    constexpr std::string_view mark = "Answer_";
    std::map<int, std::string_view> found;
    for (std::size_t at = output.find(mark); at != std::string_view::npos;) {
        const std::size_t begin = at + mark.size();
        at = output.find(mark, begin);
        const std::string_view part = output.substr(begin, at == std::string_view::npos ? at : at - begin);
        int number = 0;
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
        if (error != std::errc{})
            continue;
        found.emplace(number, part.substr(static_cast<std::size_t>(end - part.data())));
    }
    Judgement result;
    int right = 0;
    for (std::size_t i = 0; i < golds.size(); ++i) {
        const auto part = found.find(firstPart + static_cast<int>(i));
        const std::string answer = part == found.end() ? "" : answerIn(part->second, golds[i]);
        result.extracted += fmt::format("{}{}", i > 0 ? " " : "", answer.empty() ? "-" : answer);
        right += answer == golds[i] || sameNumber(answer, golds[i]) ? 1 : 0;
    }
    result.score = golds.empty() ? 0.0 : static_cast<double>(right) / static_cast<double>(golds.size());
    result.correct = result.score >= 1.0;
    result.reason = fmt::format("{} of {} right", right, golds.size());
    return result;
}

} // namespace kvloupe
