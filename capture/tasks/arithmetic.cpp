// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/arithmetic.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/item_draws.h"

#include <fmt/format.h>

#include <array>
#include <set>

namespace kvloupe {

namespace {

constexpr auto names = std::to_array<std::string_view>({"Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace",
    "Henry", "Ida", "Jack", "Kate", "Leo", "Maria", "Noah", "Olga", "Paul", "Rosa", "Sam", "Tina", "Victor"});
constexpr auto things = std::to_array<std::string_view>({"apples", "books", "coins", "stamps", "marbles", "pencils",
    "cards", "shells", "eggs", "cookies", "flowers", "stickers"});

/// A problem of one step: {0} name, {1} things, {2} and {3} numbers.
struct OneStep {
    char operation;
    std::string_view text;
};
constexpr auto oneStep = std::to_array<OneStep>({
    {'+', "{0} has {2} {1} and gets {3} more. How many {1} does {0} have now?"},
    {'+', "{0} finds {2} {1} in the morning and {3} {1} in the evening. How many {1} does {0} find in all?"},
    {'+', "There are {2} {1} on the table. {0} puts {3} more there. How many {1} are on the table now?"},
    {'-', "{0} has {2} {1} and gives away {3}. How many {1} are left?"},
    {'-', "{0} had {2} {1} and lost {3} of them. How many {1} does {0} still have?"},
    {'-', "There are {2} {1} in a box. {0} takes out {3}. How many {1} stay in the box?"},
    {'*', "{0} has {2} boxes with {3} {1} each. How many {1} does {0} have?"},
    {'*', "{0} buys {3} {1} a day. How many {1} does {0} buy in {2} days?"},
    {'*', "There are {2} bags and each bag holds {3} {1}. How many {1} are in the bags?"},
});

/// A problem of two steps: {2} first {3}, then the result second {4}.
struct TwoStep {
    char first;
    char second;
    std::string_view text;
};
constexpr auto twoStep = std::to_array<TwoStep>({
    {'+', '-', "{0} has {2} {1}, gets {3} more and then gives away {4}. How many {1} does {0} have now?"},
    {'-', '+', "{0} has {2} {1}, loses {3} and then finds {4} more. How many {1} does {0} have now?"},
    {'*', '+', "{0} has {2} boxes with {3} {1} each and {4} more {1} in a bag. How many {1} does {0} have?"},
    {'*', '-', "{0} buys {2} bags with {3} {1} each and gives away {4} {1}. How many {1} are left?"},
    {'+', '+', "{0} finds {2} {1} on Monday, {3} on Tuesday and {4} on Friday. How many {1} does {0} find in all?"},
    {'-', '-', "There are {2} {1} in a box. {0} takes out {3} and later {4} more. How many {1} stay in the box?"},
});

/// Numbers that an operation takes: left in [leftLeast, leftMost], right in [rightLeast, rightMost].
struct Range {
    std::int64_t leftLeast, leftMost, rightLeast, rightMost;

    std::uint64_t count() const
    {
        return static_cast<std::uint64_t>(leftMost - leftLeast + 1)
            * static_cast<std::uint64_t>(rightMost - rightLeast + 1);
    }
};

Range firstRange(int level, char operation)
{
    const bool large = level == 3;
    switch (operation) {
    case '+':
        return large ? Range{21, 60, 15, 39} : Range{5, 20, 2, 9};
    case '-':
        return large ? Range{61, 98, 15, 39} : level == 2 ? Range{12, 20, 2, 9} : Range{15, 20, 2, 5};
    default:
        return large ? Range{3, 9, 11, 25} : Range{2, 9, 2, 9};
    }
}

/// The second number is drawn so that no difference goes below zero: the smallest first result is above its largest.
Range secondRange(int level, char first)
{
    if (level == 3)
        return {0, 0, 11, first == '-' ? 22 : 30};
    return {0, 0, 2, first == '-' ? 3 : 4};
}

struct Problem {
    std::vector<ArithmeticStep> steps;
    std::string question;
};

/// Takes a digit off a mixed-radix number.
std::uint64_t take(std::uint64_t& number, std::uint64_t radix)
{
    const std::uint64_t digit = number % radix;
    number /= radix;
    return digit;
}

/// All (left, right, third) of a template are counted, so that different numbers are different problems.
std::uint64_t numbersOf(int level, char first, bool hasSecond)
{
    const std::uint64_t pairs = firstRange(level, first).count();
    return hasSecond ? pairs * secondRange(level, first).count() : pairs;
}

Problem problemOf(int level, std::uint64_t number)
{
    const std::string_view name = names[take(number, names.size())];
    const std::string_view thing = things[take(number, things.size())];
    const std::size_t templates = level == 1 ? oneStep.size() : twoStep.size();
    std::size_t form = 0;
    const auto firstOf = [&](std::size_t i) { return level == 1 ? oneStep[i].operation : twoStep[i].first; };
    for (; form + 1 < templates; ++form) {
        const std::uint64_t size = numbersOf(level, firstOf(form), level > 1);
        if (number < size)
            break;
        number -= size;
    }
    const Range range = firstRange(level, firstOf(form));
    const auto inRange = [&](std::int64_t least, std::int64_t most) {
        return least + static_cast<std::int64_t>(take(number, static_cast<std::uint64_t>(most - least + 1)));
    };
    const std::int64_t left = inRange(range.leftLeast, range.leftMost);
    const std::int64_t right = inRange(range.rightLeast, range.rightMost);
    Problem result;
    result.steps.push_back({left, firstOf(form), right});
    if (level == 1) {
        result.question = fmt::format(fmt::runtime(oneStep[form].text), name, thing, left, right);
        return result;
    }
    const Range second = secondRange(level, firstOf(form));
    const std::int64_t third = inRange(second.rightLeast, second.rightMost);
    result.steps.push_back({result.steps.front().value(), twoStep[form].second, third});
    result.question = fmt::format(fmt::runtime(twoStep[form].text), name, thing, left, right, third);
    return result;
}

std::vector<std::string> additionWork(std::int64_t a, std::int64_t b)
{
    constexpr std::array<std::string_view, 4> columns{"Ones", "Tens", "Hundreds", "Thousands"};
    std::vector<std::string> lines;
    std::int64_t carry = 0;
    for (const std::string_view column : columns) {
        if (a == 0 && b == 0 && carry == 0)
            break;
        const std::int64_t sum = a % 10 + b % 10 + carry;
        lines.push_back(carry > 0 ? fmt::format("{}: {} + {} + {} = {}", column, a % 10, b % 10, carry, sum)
                                  : fmt::format("{}: {} + {} = {}", column, a % 10, b % 10, sum));
        carry = sum / 10;
        lines.back() += fmt::format(", write {}", sum % 10) + (carry > 0 ? fmt::format(", carry {}.", carry) : ".");
        a /= 10;
        b /= 10;
    }
    return lines;
}

std::vector<std::string> subtractionWork(std::int64_t a, std::int64_t b)
{
    constexpr std::array<std::string_view, 4> columns{"Ones", "Tens", "Hundreds", "Thousands"};
    std::vector<std::string> lines;
    std::int64_t borrow = 0;
    for (const std::string_view column : columns) {
        if (a == 0 && b == 0)
            break;
        std::int64_t digit = a % 10 - borrow;
        std::string line
            = borrow > 0 ? fmt::format("{}: {} - 1 = {}, ", column, a % 10, digit) : fmt::format("{}: ", column);
        borrow = digit < b % 10 ? 1 : 0;
        if (borrow > 0) {
            line += fmt::format("borrow {} + 10 = {}, ", digit, digit + 10);
            digit += 10;
        }
        lines.push_back(line + fmt::format("{} - {} = {}, write {}.", digit, b % 10, digit - b % 10, digit - b % 10));
        a /= 10;
        b /= 10;
    }
    return lines;
}

std::vector<std::string> productWork(std::int64_t a, std::int64_t b)
{
    // The factor with fewer digits stays whole.
    if (b < 10 && a >= 10)
        std::swap(a, b);
    if (b < 10)
        return {fmt::format("From the table: {} * {} = {}.", a, b, a * b)};
    const std::int64_t tens = b / 10 * 10;
    const std::int64_t ones = b % 10;
    std::vector<std::string> lines{fmt::format("Tens: {} * {} = {}.", a, tens, a * tens)};
    if (ones > 0) {
        lines.push_back(fmt::format("Ones: {} * {} = {}.", a, ones, a * ones));
        lines.push_back(fmt::format("Together: {} + {} = {}.", a * tens, a * ones, a * b));
    }
    return lines;
}

} // namespace

std::int64_t ArithmeticStep::value() const
{
    switch (operation) {
    case '+':
        return left + right;
    case '-':
        return left - right;
    default:
        return left * right;
    }
}

std::string ArithmeticStep::equation() const
{
    return fmt::format("{} {} {} = {}", left, operation, right, value());
}

std::vector<std::string> digitWork(const ArithmeticStep& step)
{
    switch (step.operation) {
    case '+':
        return additionWork(step.left, step.right);
    case '-':
        return subtractionWork(step.left, step.right);
    default:
        return productWork(step.left, step.right);
    }
}

std::string inverseCheck(const ArithmeticStep& step)
{
    switch (step.operation) {
    case '+':
        return fmt::format("Check: {} - {} = {}.", step.value(), step.right, step.left);
    case '-':
        return fmt::format("Check: {} + {} = {}.", step.value(), step.right, step.left);
    default:
        return fmt::format("Check: {} * {} = {}.", step.right, step.left, step.value());
    }
}

std::uint64_t wordProblemCount(int level)
{
    std::uint64_t numbers = 0;
    if (level == 1)
        for (const OneStep& form : oneStep)
            numbers += numbersOf(level, form.operation, false);
    else
        for (const TwoStep& form : twoStep)
            numbers += numbersOf(level, form.first, true);
    return numbers * names.size() * things.size();
}

std::int64_t wordProblemValue(int level, std::uint64_t problem)
{
    return problemOf(level, problem).steps.back().value();
}

Exchange wordProblem(int level, std::uint64_t number)
{
    const Problem problem = problemOf(level, number);
    Exchange result;
    result.question = problem.question;
    result.thinking.push_back(fmt::format("The question: {}", problem.question));
    for (std::size_t i = 0; i < problem.steps.size(); ++i) {
        const ArithmeticStep& step = problem.steps[i];
        result.thinking.push_back(fmt::format("Step {}: {} {} {}", i + 1, step.left, step.operation, step.right));
        for (std::string& line : digitWork(step))
            result.thinking.push_back(std::move(line));
        result.thinking.push_back(fmt::format("So {}.", step.equation()));
        result.answer += step.equation() + ". ";
    }
    result.thinking.push_back(inverseCheck(problem.steps.back()));
    result.answer += fmt::format("The answer is {}.", problem.steps.back().value());
    result.shortTrace = result.answer;
    return result;
}

ArithmeticTask::ArithmeticTask()
    : GeneratedTask({.name = "ar",
        .category = "ar",
        .title = "Arithmetic with worked steps",
        .defaultShots = 8,
        .maximumShots = 50,
        .levels = 3,
        .defaultLevel = 1})
{
}

std::uint64_t ArithmeticTask::poolSize(int level) const
{
    return wordProblemCount(level);
}

TaskItem ArithmeticTask::makeItem(const TaskOptions& options, const Place& place) const
{
    const std::uint64_t question = place.question;
    ItemDraws draws(options.seed, "ar shots", place.index);
    std::set<std::uint64_t> used{question};
    std::vector<Exchange> shots;
    while (static_cast<int>(shots.size()) < *options.shots)
        if (const std::uint64_t drawn = draws.bits() % wordProblemCount(options.level); used.insert(drawn).second)
            shots.push_back(wordProblem(options.level, drawn));
    TaskItem item = fewShotItem("Solve each problem step by step.", shots, wordProblem(options.level, question));
    item.references = {fmt::format("{}", wordProblemValue(options.level, question))};
    item.maxNewTokens = options.level == 1 ? 32 : 48;
    item.maxThinkingTokens = 400;
    item.stops = {"\n\n", "\nQuestion:"};
    return item;
}

Judgement ArithmeticTask::judgeAnswer(const TaskItem& item, std::string_view output, const JudgeOptions& options) const
{
    std::optional<std::string> number = strictNumber(output);
    if (!number && options.extraction == NumberExtraction::Flexible)
        number = flexibleNumber(output);
    if (!number)
        return {.score = 0.0, .correct = false, .extracted = {}, .reason = "no number"};
    const bool right = sameNumber(*number, item.references.front());
    return {.score = right ? 1.0 : 0.0,
        .correct = right,
        .extracted = *number,
        .reason = right ? "the right number" : "another number, expected " + item.references.front()};
}

} // namespace kvloupe
