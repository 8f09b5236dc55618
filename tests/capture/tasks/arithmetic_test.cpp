// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/arithmetic.h"
#include "capture/tasks/task_suite.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <regex>
#include <string>

namespace kvloupe {
namespace {

/// Evaluates "3 + 4 + 1" or "12 * 7" from left to right; one kind of operation in a chain, as the traces write it.
std::int64_t valueOf(const std::string& chain)
{
    static const std::regex term(R"((^|\s([-+*])\s)(-?\d+))");
    std::int64_t value = 0;
    for (std::sregex_iterator it(chain.begin(), chain.end(), term), end; it != end; ++it) {
        const std::int64_t number = std::stoll((*it)[3]);
        const std::string operation = (*it)[2];
        if (operation.empty())
            value = number;
        else if (operation == "+")
            value += number;
        else if (operation == "-")
            value -= number;
        else
            value *= number;
    }
    return value;
}

/// Every "a + b = c" of a text; returns how many hold, adds a failure for one that does not.
int checkEquations(const std::string& text)
{
    static const std::regex equation(R"((-?\d+(?: [-+*] -?\d+)+) = (-?\d+))");
    int count = 0;
    for (std::sregex_iterator it(text.begin(), text.end(), equation), end; it != end; ++it, ++count)
        EXPECT_EQ(valueOf((*it)[1]), std::stoll((*it)[2])) << it->str() << "\nin: " << text;
    return count;
}

std::string joined(const std::vector<std::string>& lines)
{
    std::string text;
    for (const auto& line : lines)
        text += line + "\n";
    return text;
}

TEST(ArithmeticWork, CarriesAndBorrowsDigitByDigit)
{
    EXPECT_EQ(joined(digitWork({47, '+', 38})), "Ones: 7 + 8 = 15, write 5, carry 1.\nTens: 4 + 3 + 1 = 8, write 8.\n");
    EXPECT_EQ(joined(digitWork({52, '-', 38})),
        "Ones: borrow 2 + 10 = 12, 12 - 8 = 4, write 4.\nTens: 5 - 1 = 4, 4 - 3 = 1, write 1.\n");
    EXPECT_EQ(joined(digitWork({7, '*', 24})), "Tens: 7 * 20 = 140.\nOnes: 7 * 4 = 28.\nTogether: 140 + 28 = 168.\n");
    EXPECT_EQ(joined(digitWork({6, '*', 9})), "From the table: 6 * 9 = 54.\n");
}

/// The digits written from ones upwards.
std::int64_t written(const std::vector<std::string>& lines)
{
    static const std::regex digit(R"(write (\d))");
    std::int64_t value = 0;
    std::int64_t place = 1;
    for (const std::string& line : lines) {
        std::smatch match;
        if (std::regex_search(line, match, digit))
            value += place * std::stoll(match[1]);
        place *= 10;
    }
    return value;
}

TEST(ArithmeticWork, EndsAtTheValueForAllSmallOperands)
{
    for (std::int64_t a = 0; a <= 120; ++a)
        for (std::int64_t b = 0; b <= 99; ++b) {
            const ArithmeticStep sum{a, '+', b};
            EXPECT_EQ(written(digitWork(sum)), a + b);
            checkEquations(joined(digitWork(sum)) + inverseCheck(sum));
            if (a >= b) {
                const ArithmeticStep difference{a, '-', b};
                EXPECT_EQ(written(digitWork(difference)), a - b) << joined(digitWork(difference));
                checkEquations(joined(digitWork(difference)) + inverseCheck(difference));
            }
            const ArithmeticStep product{a, '*', b};
            const std::string work = joined(digitWork(product));
            EXPECT_GE(checkEquations(work + inverseCheck(product)), 2);
            EXPECT_NE(work.find(fmt::format("= {}.\n", a * b)), std::string::npos) << work;
        }
}

TEST(Arithmetic, TracesHoldWhateverTheLevel)
{
    for (int level = 1; level <= 3; ++level) {
        TaskOptions options;
        options.samples = 400;
        options.level = level;
        options.shots = 3;
        options.seed = 5;
        for (const TaskItem& item : findTask("ar").items(options)) {
            EXPECT_GE(checkEquations(item.text), 3);
            EXPECT_EQ(checkEquations(item.answer), level == 1 ? 1 : 2) << item.answer;
            EXPECT_GE(checkEquations(item.thinkingTrace), level == 1 ? 4 : 7) << item.thinkingTrace;
            EXPECT_TRUE(item.answer.ends_with("The answer is " + item.references.front() + ".")) << item.answer;
            EXPECT_EQ(item.references.front().find('-'), std::string::npos) << item.text;
        }
    }
}

TEST(Arithmetic, AnswersFollowFromTheNumbersOfTheText)
{
    // The words of each template decide what is to be done with its numbers: an independent reading of all of them.
    const std::vector<std::pair<std::regex, std::string>> readings{
        {std::regex(R"(has (\d+) \w+ and gets (\d+) more)"), "+"},
        {std::regex(R"(finds (\d+) \w+ in the morning and (\d+) \w+ in the evening)"), "+"},
        {std::regex(R"(There are (\d+) \w+ on the table. \w+ puts (\d+) more)"), "+"},
        {std::regex(R"(has (\d+) \w+ and gives away (\d+))"), "-"},
        {std::regex(R"(had (\d+) \w+ and lost (\d+))"), "-"},
        {std::regex(R"(There are (\d+) \w+ in a box. \w+ takes out (\d+)\. )"), "-"},
        {std::regex(R"(has (\d+) boxes with (\d+) \w+ each\.)"), "*"},
        {std::regex(R"(buys (\d+) \w+ a day\. How many \w+ does \w+ buy in (\d+) days)"), "*"},
        {std::regex(R"(There are (\d+) bags and each bag holds (\d+))"), "*"},
        {std::regex(R"(has (\d+) \w+, gets (\d+) more and then gives away (\d+))"), "+-"},
        {std::regex(R"(has (\d+) \w+, loses (\d+) and then finds (\d+) more)"), "-+"},
        {std::regex(R"(has (\d+) boxes with (\d+) \w+ each and (\d+) more)"), "*+"},
        {std::regex(R"(buys (\d+) bags with (\d+) \w+ each and gives away (\d+))"), "*-"},
        {std::regex(R"(finds (\d+) \w+ on Monday, (\d+) on Tuesday and (\d+) on Friday)"), "++"},
        {std::regex(R"(There are (\d+) \w+ in a box. \w+ takes out (\d+) and later (\d+) more)"), "--"},
    };
    std::vector<int> uses(readings.size());
    for (int level = 1; level <= 3; ++level) {
        TaskOptions options;
        options.samples = 300;
        options.level = level;
        options.shots = 0;
        for (const TaskItem& item : findTask("ar").items(options)) {
            int read = 0;
            for (std::size_t i = 0; i < readings.size(); ++i) {
                std::smatch numbers;
                if (!std::regex_search(item.text, numbers, readings[i].first))
                    continue;
                ++read;
                ++uses[i];
                std::int64_t value = std::stoll(numbers[1]);
                for (std::size_t step = 0; step < readings[i].second.size(); ++step)
                    value = ArithmeticStep{value, readings[i].second[step], std::stoll(numbers[step + 2])}.value();
                EXPECT_EQ(std::to_string(value), item.references.front()) << item.text;
            }
            EXPECT_EQ(read, 1) << item.text;
        }
    }
    for (std::size_t i = 0; i < uses.size(); ++i)
        EXPECT_GT(uses[i], 0) << "template " << i << " never came";
}

TEST(Arithmetic, TakesUpToFiftyShots)
{
    TaskOptions options;
    options.samples = 1;
    options.shots = 50;
    const auto items = findTask("ar").items(options);
    EXPECT_EQ(items.front().shots, 50);
    options.shots = 51;
    EXPECT_THROW(findTask("ar").items(options), TaskError);
}

} // namespace
} // namespace kvloupe
