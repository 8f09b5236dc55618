// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/code_generation.h"
#include "capture/tasks/expression_language.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace kvloupe {
namespace {

std::string refusalOf(std::string_view text)
{
    try {
        const Expression expression(text);
        expression(1, 1);
    } catch (const ExpressionError& error) {
        return error.what();
    }
    return "";
}

TEST(ExpressionLanguage, ComputesAsArithmeticDoes)
{
    constexpr std::int64_t x = 7;
    constexpr std::int64_t y = -3;
    const std::vector<std::pair<const char*, std::int64_t>> cases{{"x", x}, {" 12 ", 12}, {"x + y * 2", x + y * 2},
        {"(x + y) * 2", (x + y) * 2}, {"x - y - 1", x - y - 1}, {"-x * -y", -x * -y}, {"--x", x}, {"max(x, y)", x},
        {"min(x, y)", y}, {"max(min(x, 2), y + 10)", 7}, {"2*x-3*y", 2 * x - 3 * y}, {"x--y", x - -y}, {"((((x))))", x},
        {"\tmax ( x ,\ty ) ", x}};
    for (const auto& [text, value] : cases)
        EXPECT_EQ(Expression(text)(x, y), value) << text;
}

TEST(ExpressionLanguage, RefusesWhatIsNoExpression)
{
    for (const char* const text : {"", " ", "x +", "* x", "x y", "2x", "x2", "max(x)", "max(x, y", "max x, y", "(x",
             "x)", "1.5", "x / y", "x ** 2", "z", "f(x)", "1000001", "99999999999999999999", "x;y", "x\n", "+x", "max",
             "X", "__import__('os')", "maximum(x, y)", "x\xc3\x97y"})
        EXPECT_NE(refusalOf(text), "") << text;
    EXPECT_NE(refusalOf(std::string("x\0", 2)), "");
    EXPECT_NE(refusalOf(std::string("\0", 1)), "");
    EXPECT_EQ(refusalOf("1000000"), "");
}

TEST(ExpressionLanguage, IsBoundedInLengthAndDepth)
{
    EXPECT_EQ(refusalOf(std::string(30, '(') + "x" + std::string(30, ')')), "");
    EXPECT_NE(refusalOf(std::string(40, '(') + "x" + std::string(40, ')')).find("levels"), std::string::npos);
    EXPECT_NE(refusalOf(std::string(100, '-') + "x").find("levels"), std::string::npos);
    EXPECT_NE(refusalOf(std::string(100'000, '(')).find("bytes"), std::string::npos);
}

TEST(ExpressionLanguage, ReportsOverflow)
{
    std::string power = "1000000";
    for (int i = 0; i < 3; ++i)
        power += "*1000000";
    EXPECT_NE(refusalOf(power).find("64 bits"), std::string::npos);
    constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
    EXPECT_THROW(Expression("-x")(least, 0), ExpressionError);
    EXPECT_THROW(Expression("x - 1")(least, 0), ExpressionError);
    EXPECT_EQ(Expression("max(x, y)")(least, 0), 0);
}

TEST(ExpressionsInResponses, AreFound)
{
    for (const auto& [response, wanted] : std::vector<std::pair<const char*, const char*>>{{" x + y", "x + y"},
             {"x + y.\nBecause", "x + y"}, {"f(x, y) = x + y", "x + y"}, {"`max(x, y)`", "max(x, y)"},
             {"```\nx * 2\n```", "x * 2"}, {"", ""}, {" .", ""}, {"$x - y$;", "x - y"}})
        EXPECT_EQ(expressionIn(response), wanted) << response;
}

} // namespace
} // namespace kvloupe
