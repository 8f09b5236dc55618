// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/code_generation.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/expression_language.h"
#include "capture/tasks/item_draws.h"

#include <fmt/format.h>

#include <array>
#include <set>

namespace kvloupe {

namespace {

constexpr auto frames = std::to_array<std::string_view>(
    {"Write an expression for {0}.", "Which expression gives {0}?", "f(x, y) is {0}. Write f(x, y)."});

/// {0} and {1} are the operands.
struct Wording {
    std::string_view expression;
    std::array<std::string_view, 2> words;
};
constexpr auto operations = std::to_array<Wording>({
    {"{0} + {1}", {"the sum of {0} and {1}", "{0} plus {1}"}},
    {"{0} - {1}", {"the difference of {0} and {1}", "{0} minus {1}"}},
    {"{0} * {1}", {"the product of {0} and {1}", "{0} times {1}"}},
    {"max({0}, {1})", {"the larger of {0} and {1}", "the maximum of {0} and {1}"}},
    {"min({0}, {1})", {"the smaller of {0} and {1}", "the minimum of {0} and {1}"}},
});
/// The second operation takes the first one's value in words and in brackets, and a number.
struct SecondStep {
    std::string_view expression;
    std::string_view words;
};
constexpr auto secondSteps = std::to_array<SecondStep>({
    {"{0} + {1}", "{0}, then add {1}"},
    {"{0} - {1}", "{0}, then subtract {1}"},
    {"({0}) * {1}", "{0}, then multiply by {1}"},
});

constexpr std::uint64_t variablePairs = 2; // (x, y), (y, x)
constexpr std::uint64_t constants = 8; // 2 .. 9
constexpr std::uint64_t constantsOfExamples = 10; // 2 .. 11

std::uint64_t constantsAt(int level)
{
    return level == 3 ? constantsOfExamples : constants;
}
std::uint64_t operandPairs(int level)
{
    return variablePairs + 2 * constantsAt(level);
}

/// Pairs that tell expressions of this size apart; at level 3 the first three are shown, and are all that is asked for.
constexpr auto probes = std::to_array<std::array<std::int64_t, 2>>(
    {{2, 5}, {12, 3}, {4, 14}, {0, 1}, {1, 0}, {9, 8}, {3, 12}, {15, 6}, {-2, 5}, {6, -3}, {-4, -7}, {20, 11}});
constexpr std::size_t shownProbes = 3;

struct Program {
    std::string expression;
    std::string words;
    std::string first; ///< of two steps
    std::string firstWords;
};

std::uint64_t take(std::uint64_t& number, std::uint64_t radix)
{
    const std::uint64_t digit = number % radix;
    number /= radix;
    return digit;
}

std::array<std::string, 2> operands(int level, std::uint64_t number)
{
    if (number < variablePairs)
        return number == 0 ? std::array<std::string, 2>{"x", "y"} : std::array<std::string, 2>{"y", "x"};
    number -= variablePairs;
    return {number < constantsAt(level) ? "x" : "y", std::to_string(2 + number % constantsAt(level))};
}

std::uint64_t programCount(int level)
{
    const std::uint64_t single = operations.size() * operandPairs(level);
    switch (level) {
    case 1:
        return single * 2;
    case 2:
        return single * 2 * secondSteps.size() * constants;
    default:
        return single;
    }
}

Program programOf(int level, std::uint64_t number)
{
    const Wording& operation = operations[take(number, operations.size())];
    const auto [left, right] = operands(level, take(number, operandPairs(level)));
    Program program;
    program.expression = fmt::format(fmt::runtime(operation.expression), left, right);
    if (level == 3) {
        for (std::size_t i = 0; i < shownProbes; ++i)
            program.words += fmt::format("{}f({}, {}) = {}", i > 0 ? ", " : "", probes[i][0], probes[i][1],
                Expression(program.expression)(probes[i][0], probes[i][1]));
        return program;
    }
    program.words = fmt::format(fmt::runtime(operation.words[take(number, 2)]), left, right);
    if (level == 2) {
        const SecondStep& second = secondSteps[take(number, secondSteps.size())];
        // Two equal numbers could undo each other.
        std::string constant = std::to_string(2 + take(number, constants));
        if (constant == right)
            constant = "10";
        program.first = program.expression;
        program.firstWords = program.words;
        program.expression = fmt::format(fmt::runtime(second.expression), program.first, constant);
        program.words = fmt::format(fmt::runtime(second.words), program.firstWords, constant);
    }
    return program;
}

Exchange exchange(int level, std::size_t frame, const Program& program)
{
    Exchange result;
    result.answer = program.expression;
    result.shortTrace = program.expression;
    const Expression value(program.expression);
    const auto example = [&](std::size_t i) {
        return fmt::format("x = {}, y = {} gives {}", probes[i][0], probes[i][1], value(probes[i][0], probes[i][1]));
    };
    if (level == 3) {
        constexpr std::array<std::string_view, frames.size()> questions{
            "{0}. Write f(x, y).", "Which expression f has {0}?", "Write an expression f(x, y) with {0}."};
        result.question = fmt::format(fmt::runtime(questions[frame]), program.words);
        result.thinking
            = {fmt::format("The values are {}.", program.words), fmt::format("{} would fit.", program.expression),
                fmt::format("Check: {}, {}, {}.", example(0), example(1), example(2))};
        return result;
    }
    result.question = fmt::format(fmt::runtime(frames[frame]), program.words);
    result.thinking.push_back(fmt::format("I need {}.", program.words));
    if (level == 2)
        result.thinking.push_back(fmt::format("First {}: {}", program.firstWords, program.first));
    result.thinking.push_back(fmt::format("The expression is {}", program.expression));
    result.thinking.push_back(fmt::format("Check: {}.", example(0)));
    return result;
}

} // namespace

std::string_view expressionIn(std::string_view response)
{
    std::string_view line = firstLine(codeBlock(response));
    if (const std::size_t equals = line.rfind('='); equals != std::string_view::npos)
        line = line.substr(equals + 1);
    constexpr std::string_view around = " \t`'\"$:";
    const std::size_t begin = line.find_first_not_of(around);
    if (begin == std::string_view::npos)
        return {};
    return line.substr(begin, line.find_last_not_of(" \t`'\"$.;") + 1 - begin);
}

CodeGenerationTask::CodeGenerationTask()
    : GeneratedTask({.name = "cg",
        .category = "cg",
        .title = "Code in a small expression language",
        .defaultShots = 8,
        .maximumShots = 32,
        .levels = 3,
        .defaultLevel = 1})
{
}

std::uint64_t CodeGenerationTask::poolSize(int level) const
{
    return programCount(level) * frames.size();
}

TaskItem CodeGenerationTask::makeItem(const TaskOptions& options, const Place& place) const
{
    std::uint64_t question = place.question;
    const std::size_t frame = take(question, frames.size());
    ItemDraws draws(options.seed, "cg shots", place.index);
    std::set<std::uint64_t> used{question};
    std::vector<Exchange> shots;
    const Program asked = programOf(options.level, question);
    while (static_cast<int>(shots.size()) < *options.shots) {
        const std::uint64_t drawn = draws.below(programCount(options.level));
        const Program program = programOf(options.level, drawn);
        if (program.words != asked.words && used.insert(drawn).second)
            shots.push_back(exchange(options.level, frame, program));
    }
    TaskItem item = fewShotItem(
        "Write expressions over x and y with +, -, *, max and min.", shots, exchange(options.level, frame, asked));
    const Expression value(asked.expression);
    for (std::size_t i = 0; i < (options.level == 3 ? shownProbes : probes.size()); ++i)
        item.facts.cases.push_back({probes[i][0], probes[i][1], value(probes[i][0], probes[i][1])});
    item.maxNewTokens = 24;
    item.maxThinkingTokens = 200;
    item.stops = {"\n\n", "\nQuestion:"};
    return item;
}

Judgement CodeGenerationTask::judgeAnswer(
    const TaskItem& item, std::string_view output, const JudgeOptions& /*options*/) const
{
    const std::string_view text = expressionIn(output);
    Judgement result{.score = 0.0, .correct = false, .extracted = std::string(text), .reason = {}};
    try {
        const Expression value(text);
        for (const ExpressionCase& wanted : item.facts.cases)
            if (const std::int64_t found = value(wanted.x, wanted.y); found != wanted.value) {
                result.reason = fmt::format("f({}, {}) is {}, expected {}", wanted.x, wanted.y, found, wanted.value);
                return result;
            }
    } catch (const ExpressionError& error) {
        result.reason = error.what();
        return result;
    }
    result.score = 1.0;
    result.reason = "meets every example";
    return result;
}

} // namespace kvloupe
