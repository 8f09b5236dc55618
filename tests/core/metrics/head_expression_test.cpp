// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/head_expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

namespace kvloupe {
namespace {

const ExpressionNames names{{"layer", "entropy", "sink", "top8"}, {"evicted"}, {"snapkv", "h2o:recent=4"}};

double valueOf(const std::string& text)
{
    static const std::map<HeadVariable, double> values{{{"layer", ""}, 3}, {{"entropy", ""}, 1.5}, {{"sink", ""}, 0.75},
        {{"top8", ""}, 0.5}, {{"evicted", "snapkv"}, 0.2}, {{"evicted", "h2o:recent=4"}, NAN}};
    const HeadExpression expression = HeadExpression::parse(text, names);
    std::vector<double> of;
    for (const HeadVariable& variable : expression.variables())
        of.push_back(values.at(variable));
    return expression.evaluate(of);
}

std::string problemOf(const std::string& text)
{
    try {
        HeadExpression::parse(text, names);
    } catch (const ExpressionError& error) {
        EXPECT_LE(error.position(), text.size()) << text;
        return error.what();
    }
    return {};
}

TEST(HeadExpression, ComputesAsArithmeticDoes)
{
    EXPECT_EQ(valueOf("1 + 2 * 3"), 7);
    EXPECT_EQ(valueOf("(1 + 2) * 3"), 9);
    EXPECT_EQ(valueOf("8 - 2 - 1"), 5);
    EXPECT_EQ(valueOf("8 / 2 / 2"), 2);
    EXPECT_EQ(valueOf("-2 * -entropy"), 3);
    EXPECT_EQ(valueOf("layer - 1e0"), 2);
    EXPECT_EQ(valueOf(".5+top8-layer"), -2);
    EXPECT_FALSE(HeadExpression::parse("sink * 2", names).isCondition());
}

TEST(HeadExpression, DecidesAsWordsSay)
{
    EXPECT_EQ(valueOf("sink > 0.5 and entropy < 2"), 1);
    EXPECT_EQ(valueOf("sink > 0.5 and entropy < 1"), 0);
    EXPECT_EQ(valueOf("layer < 2 or sink >= 0.75"), 1);
    EXPECT_EQ(valueOf("layer < 2 and sink > 0 or entropy == 1.5"), 1) << "and binds closer than or";
    EXPECT_EQ(valueOf("layer < 2 and (sink > 0 or entropy = 1.5)"), 0);
    EXPECT_EQ(valueOf("not layer < 2"), 1);
    EXPECT_EQ(valueOf("not (layer != 3) and sink <= 0.75"), 1);
    EXPECT_EQ(valueOf("evicted(snapkv) > 0.1"), 1);
    EXPECT_EQ(valueOf("evicted( snapkv ) * 2 < 0.3"), 0);
    EXPECT_TRUE(HeadExpression::parse("(sink > 0.5)", names).isCondition());
    EXPECT_EQ(HeadExpression::parse("sink > 0.5 and sink < evicted(snapkv)", names).variables(),
        (std::vector<HeadVariable>{{"sink", ""}, {"evicted", "snapkv"}}));
}

TEST(HeadExpression, WhatIsNotKnownMatchesNothing)
{
    for (const char* operation : {"<", "<=", ">", ">=", "==", "!="})
        EXPECT_EQ(valueOf(std::string("evicted(h2o:recent=4) ") + operation + " 0.5"), 0) << operation;
    EXPECT_TRUE(std::isnan(valueOf("1 + evicted(h2o:recent=4)")));
}

TEST(HeadExpression, SaysWhereItIsWrongAndWhatWasExpected)
{
    EXPECT_EQ(problemOf("sink > 0.5 and"), "at character 15: found the end, expected a number, a measure or \"(\"");
    EXPECT_EQ(problemOf(""), "at character 1: found the end, expected a number, a measure or \"(\"");
    EXPECT_EQ(problemOf("sink > "), "at character 8: found the end, expected a number, a measure or \"(\"");
    EXPECT_EQ(problemOf("snik > 1"),
        "at character 1: no measure \"snik\"; there are layer, entropy, sink, top8, evicted(method)");
    EXPECT_EQ(problemOf("1 < evicted(tova)"), "at character 13: no method \"tova\"; there are snapkv, h2o:recent=4");
    EXPECT_EQ(problemOf("evicted > 1"), "at character 9: found \">\", expected \"(\" and a method after evicted");
    EXPECT_EQ(problemOf("evicted(snapkv"), "at character 15: found the end, expected \")\"");
    EXPECT_EQ(problemOf("(sink"), "at character 6: found the end, expected \")\"");
    EXPECT_EQ(problemOf("sink 0.5"), "at character 6: found \"0\", expected an operator or the end");
    EXPECT_EQ(
        problemOf("0 < sink < 1"), "at character 10: found a second comparison, expected \"and\" between the two");
    EXPECT_EQ(
        problemOf("sink and layer < 2"), "at character 1: found a number, expected a condition such as sink > 0.5");
    EXPECT_EQ(problemOf("1 + (sink < 2)"), "at character 5: found a condition, expected a number");
    EXPECT_EQ(problemOf("not sink"), "at character 5: found a number, expected a condition such as sink > 0.5");
    EXPECT_EQ(problemOf("sink > 1e999"), "at character 8: the number is too large or too small");
    EXPECT_THAT(problemOf("sink > nan"), testing::HasSubstr("no measure \"nan\""));
    EXPECT_THAT(problemOf("sink \xE2\x89\xA5 1"), testing::HasSubstr("found \"\xE2\x89\xA5\""));
}

TEST(HeadExpression, RefusesWhatIsTooLongOrTooDeep)
{
    EXPECT_EQ(problemOf(std::string(63, '(') + "1" + std::string(63, ')')), "");
    EXPECT_THAT(problemOf(std::string(900, '(')), testing::HasSubstr("nested more than 64 levels deep"));
    EXPECT_THAT(problemOf(std::string(900, '-') + "1"), testing::HasSubstr("nested more than 64 levels deep"));
    std::string negations;
    for (int i = 0; i < 400; ++i)
        negations += "not ";
    EXPECT_THAT(problemOf(negations + "1 < 2"), testing::HasSubstr("nested more than 64 levels deep"));
    EXPECT_THAT(problemOf(std::string(2001, ' ')), testing::HasSubstr("2001 characters, expected at most 2000"));
}

TEST(HeadExpression, SurvivesAnything)
{
    std::mt19937 random(7);
    const std::vector<std::string> parts{"sink", "layer", "evicted", "(", ")", "snapkv", "and", "or", "not", "<", "=",
        "!", "+", "-", "*", "/", "1", ".", "e9", " ", "\xFF", "\n", std::string(1, '\0')};
    int valid = 0;
    for (int run = 0; run < 20000; ++run) {
        std::string text;
        for (std::size_t count = random() % 12; count > 0; --count)
            text += parts[random() % parts.size()] + (random() % 2 == 0 ? " " : "");
        try {
            const HeadExpression expression = HeadExpression::parse(text, names);
            const std::vector<double> values(expression.variables().size(), 0.5);
            const double value = expression.evaluate(values);
            EXPECT_TRUE(!expression.isCondition() || value == 0.0 || value == 1.0) << text;
            ++valid;
        } catch (const ExpressionError& error) {
            EXPECT_LE(error.position(), text.size());
        }
    }
    EXPECT_GT(valid, 100);
}

} // namespace
} // namespace kvloupe
