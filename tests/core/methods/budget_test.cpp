// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/budget.h"

#include "core/methods/method_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>

namespace kvloupe {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Budget, LosesTokensToDoubleArithmeticExactlyWhereKvpressDoes)
{
    struct Row {
        std::int64_t tokens;
        const char* ratio;
        std::int64_t kept; ///< int(T * (1 - cr)) of Python, but never below 1
    };
    for (const Row& row : {Row{10, "0.8", 1}, Row{10, "0.9", 1}, Row{100, "0.9", 9}, Row{1000, "0.8", 199},
             Row{1000, "0.9", 99}, Row{10, "0.7", 3}, Row{1000, "0.875", 125}, Row{5, "0.875", 1}, Row{10, "0.1", 9},
             Row{10, "0.3", 7}, Row{12, "0.5", 6}, Row{4096, "0.75", 1024}, Row{4096, "0.9", 409}})
        EXPECT_EQ(Budget::compressionRatio(row.ratio).tokensKept(row.tokens), row.kept)
            << row.tokens << " " << row.ratio;
}

TEST(Budget, KeepsTheExactDecimalShareWhenAShareKeptIsGiven)
{
    EXPECT_EQ(Budget::keep("0.2").tokensKept(10), 2);
    EXPECT_EQ(Budget::keep("0.1").tokensKept(1000), 100);
    EXPECT_EQ(Budget::keep("0.29").tokensKept(100), 29);
    EXPECT_EQ(Budget::keep("0.57").tokensKept(100), 57);
    EXPECT_EQ(Budget::keep("0.999999999999999999").tokensKept(1'000'000'000'000), 999'999'999'999);
    EXPECT_EQ(Budget::keep("1").tokensKept(7), 7);
    EXPECT_EQ(Budget::keep("1.0").tokensKept(7), 7);
    EXPECT_EQ(Budget::keep(".25").tokensKept(7), 1);
    EXPECT_EQ(Budget::keep("0.01").tokensKept(7), 1) << "never fewer than one token";
    EXPECT_EQ(Budget::keep("0.5").tokensKept(0), 0);
}

TEST(Budget, EveryPercentOfEveryLengthIsTheFloorOfTheExactProduct)
{
    for (int percent = 1; percent <= 100; ++percent)
        for (std::int64_t tokens = 1; tokens <= 300; ++tokens) {
            const std::string text = percent == 100 ? "1" : (percent < 10 ? "0.0" : "0.") + std::to_string(percent);
            const std::int64_t expected = std::max<std::int64_t>(1, tokens * percent / 100);
            ASSERT_EQ(Budget::keep(text).tokensKept(tokens), expected) << text << " of " << tokens;
            ASSERT_EQ(Budget::keep(percent / 100.0).tokensKept(tokens), expected) << percent << " of " << tokens;
        }
}

TEST(Budget, TurnsAShareKeptIntoARatioRemovedForKvpress)
{
    EXPECT_EQ(Budget::keep("0.2").tokensKept(10, BudgetRounding::TruncateDouble), 1); // 10 * (1 - 0.8)
    EXPECT_EQ(Budget::keep("0.3").tokensKept(10, BudgetRounding::TruncateDouble), 3);
    EXPECT_EQ(Budget::keep("0.1").tokensKept(100, BudgetRounding::TruncateDouble), 9);
}

TEST(Budget, RoundsHalvesToEvenAsPythonDoes)
{
    EXPECT_EQ(Budget::keep("0.5").tokensKept(3, BudgetRounding::HalfEven), 2); // 1.5
    EXPECT_EQ(Budget::keep("0.5").tokensKept(5, BudgetRounding::HalfEven), 2); // 2.5
    EXPECT_EQ(Budget::keep("0.5").tokensKept(7, BudgetRounding::HalfEven), 4); // 3.5
    EXPECT_EQ(Budget::keep("0.5").tokensKept(1, BudgetRounding::HalfEven), 1); // 0.5 rounds to 0, raised to 1
    EXPECT_EQ(Budget::compressionRatio("0.9").tokensKept(2048, BudgetRounding::HalfEven), 205);
    EXPECT_EQ(Budget::compressionRatio("0.9").tokensKept(4096, BudgetRounding::HalfEven), 410);
}

TEST(Budget, NeverTakesMoreThanTheCapacityOrThePrompt)
{
    EXPECT_EQ(Budget::capacity(128).tokensKept(1000), 128);
    EXPECT_EQ(Budget::capacity(128).tokensKept(100), 100);
    EXPECT_EQ(Budget::capacity(128).tokensKept(100, BudgetRounding::TruncateDouble), 100);
    EXPECT_EQ(Budget::capacity("9223372036854775807").tokensKept(3), 3);
    EXPECT_DOUBLE_EQ(Budget::capacity(25).fractionKept(100), 0.25);
    EXPECT_DOUBLE_EQ(Budget::capacity(25).fractionKept(10), 1.0);
}

TEST(Budget, KeepsTheTextAsItWasWritten)
{
    EXPECT_EQ(Budget::keep("0.30").text(), "0.30");
    EXPECT_EQ(Budget::keep(0.3).text(), "0.3");
    EXPECT_EQ(Budget::keep(0.1 + 0.2).text(), "0.30000000000000004");
    EXPECT_DOUBLE_EQ(Budget::compressionRatio("0.7").fractionKept(10), 0.3);
    EXPECT_EQ(Budget::compressionRatio("0").tokensKept(9), 9);
}

TEST(Budget, SaysWhatWasFoundAndWhatWasExpected)
{
    for (const char* text : {"0", "0.0", "1.01", "2", "-0.1", "+0.5", "nan", "inf", "", ".", "0.5.5", "1e-2", "0,3",
             " 0.3", "0.3 ", "thirty", "0.1234567890123456789", "100000000000000000000", "0x1p-1"}) {
        try {
            Budget::keep(text);
            ADD_FAILURE() << "accepted '" << text << "'";
        } catch (const MethodError& error) {
            EXPECT_THAT(error.what(), AllOf(HasSubstr("keep: found"), HasSubstr("expected a share kept above 0")))
                << text;
        }
    }
    for (const double value : {0.0, -1.0, 1.5, std::nan(""), std::numeric_limits<double>::infinity(), 1e-30})
        EXPECT_THROW(Budget::keep(value), MethodError) << value;
    for (const char* text : {"1", "1.5", "-0.5", "", "x"})
        EXPECT_THROW(Budget::compressionRatio(text), MethodError) << text;
    for (const char* text : {"0", "-3", "", "12.5", "many", "99999999999999999999"})
        EXPECT_THROW(Budget::capacity(text), MethodError) << text;
    EXPECT_THROW(Budget::capacity(std::int64_t{0}), MethodError);
    try {
        Budget::keep("a\nb\x01");
        FAIL();
    } catch (const MethodError& error) {
        EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "one line";
    }
}

} // namespace
} // namespace kvloupe
