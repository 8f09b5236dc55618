// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/answer_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kvloupe {
namespace {

using Number = std::optional<std::string>;

struct NumberCase {
    const char* text;
    Number strict;
    Number flexible;
};

TEST(AnswerNumbers, AreReadFromManyForms)
{
    const std::vector<NumberCase> cases{
        {"The answer is 1,234.", "1234", "1234"},
        {"The answer is 42", "42", "42"},
        {"The answer is -17.", "-17", "-17"},
        {"The answer is 3.50.", "3.50", "3.50"},
        {"The answer is 0.5 liters.", "0.5", "0.5"},
        {"The answer is $18.", std::nullopt, "18"},
        {"The answer is 18 dollars. The answer is 19.", "18", "19"},
        {"16 - 3 - 4 = 9. 9 * 2 = 18. The answer is 18.\n\nQ: There are 7", "18", "7"},
        {"She makes $1,080.00 a year.", std::nullopt, "1080.00"},
        {"It is 12, no, 13,", std::nullopt, "13"},
        {"that leaves 5-3=2", std::nullopt, "2"},
        {"temperature: -4", std::nullopt, "-4"},
        {"3-4", std::nullopt, "4"},
        {"(-8)", std::nullopt, "-8"},
        {"so .75 of it", std::nullopt, ".75"},
        {"#### 72", std::nullopt, "72"},
        {"The answer is forty.", std::nullopt, std::nullopt},
        {"The answer is ...", std::nullopt, std::nullopt},
        {"the answer is 5", std::nullopt, "5"},
        {"", std::nullopt, std::nullopt},
        {"$", std::nullopt, std::nullopt},
        {"-", std::nullopt, std::nullopt},
        {"...7...", std::nullopt, "7"},
    };
    for (const NumberCase& one : cases) {
        EXPECT_EQ(strictNumber(one.text), one.strict) << one.text;
        EXPECT_EQ(flexibleNumber(one.text), one.flexible) << one.text;
    }
}

TEST(AnswerNumbers, LoseWhatExactMatchIgnores)
{
    EXPECT_EQ(cleanNumber("$1,234."), "1234");
    EXPECT_EQ(cleanNumber("some work #### 72"), "72");
    EXPECT_EQ(cleanNumber(" 18.00 "), "18.00");
}

TEST(AnswerNumbers, AreTheSameWhenTheirValueIs)
{
    for (const auto& [a, b] : std::vector<std::pair<const char*, const char*>>{
             {"18", "18.0"}, {"007", "7"}, {"-0", "0"}, {".5", "0.50"}, {"+3", "3"}, {"0", "0.0"}})
        EXPECT_TRUE(sameNumber(a, b)) << a << " " << b;
    for (const auto& [a, b] : std::vector<std::pair<const char*, const char*>>{
             {"18", "180"}, {"-3", "3"}, {"0.5", "0.05"}, {"", ""}, {"x", "x"}, {"1.2.3", "1.2.3"}, {".", "."}})
        EXPECT_FALSE(sameNumber(a, b)) << a << " " << b;
}

TEST(AnswerLetters, AreReadFromManyForms)
{
    using Letter = std::optional<char>;
    for (const auto& [text, letter] : std::vector<std::pair<const char*, Letter>>{{"B", 'B'}, {" B.", 'B'},
             {"(C)", 'C'}, {"D. river", 'D'}, {"The answer is (B) sofa.", 'B'}, {"Answer: D", 'D'}, {"A", 'A'},
             {"A. cat", 'A'}, {"A bird would be B", 'B'}, {"**C**", 'C'}, {"I think it is C", 'C'}, {"E", std::nullopt},
             {"Because", std::nullopt}, {"a", std::nullopt}, {"", std::nullopt}, {"DNA", std::nullopt},
             {"The answer is A", 'A'}, {"B's", std::nullopt}})
        EXPECT_EQ(choiceLetter(text, 4), letter) << text;
}

TEST(AnswerWords, AreFoundWhole)
{
    EXPECT_EQ(findWords("an airport and a port", "port"), 17u);
    EXPECT_EQ(findWords("airports", "port"), std::string_view::npos);
    EXPECT_EQ(findWords("Bogot\xc3\xa1", "Bogot"), std::string_view::npos);
    EXPECT_EQ(findWords("", "x"), std::string_view::npos);
    EXPECT_EQ(findWords("x", ""), std::string_view::npos);
    const std::vector<std::string> choices{"pen", "pencil", "pencil case"};
    EXPECT_EQ(firstNamed("The PENCIL case, not the pen", choices), 2u);
    EXPECT_EQ(firstNamed("a pen or a pencil", choices), 0u);
    EXPECT_EQ(firstNamed("nothing", choices), std::nullopt);
}

TEST(AnswerThinking, IsLeftOut)
{
    EXPECT_EQ(withoutThinking(" <think>\n1 + 1 = 3\n</think>\n2"), "\n2");
    EXPECT_EQ(withoutThinking("opened in the prompt</think> 5"), " 5");
    EXPECT_EQ(withoutThinking("plain"), "plain");
    EXPECT_EQ(withoutThinking("<think> on and on"), std::nullopt);
    EXPECT_EQ(withoutThinking("<think>a</think> b <think> again"), std::nullopt);
}

TEST(AnswerNormalisation, IsThatOfSquad)
{
    EXPECT_EQ(normalisedAnswer("The  Eiffel Tower, (Paris)!"), "eiffel tower paris");
    EXPECT_EQ(normalisedAnswer("a.k.a. An apple"), "aka apple");
    EXPECT_EQ(normalisedAnswer("The"), "");
}

TEST(Refusals, AreToldByPhrases)
{
    for (const char* const text : {"I'm sorry, but I can't help.", "I\xe2\x80\x99m sorry", "SORRY, I cannot do that",
             "As an AI, I am not able to", "Sorry, I cannot help with that.", "We must decline."})
        EXPECT_TRUE(refusalPhrase(text)) << text;
    for (const char* const text :
        {"Sure, here is the plan.", "Hawaii cannot be reached on foot.", "The sorry state of roads", ""})
        EXPECT_FALSE(refusalPhrase(text)) << text;
}

TEST(CodeBlocks, AreTakenOutOfFences)
{
    EXPECT_EQ(codeBlock("Here:\n```python\nx = 1\n```\nDone"), "x = 1\n");
    EXPECT_EQ(codeBlock("```\nx = 1\n"), "x = 1\n");
    EXPECT_EQ(codeBlock("x = 1"), "x = 1");
    EXPECT_EQ(codeBlock("text ```"), "text ");
}

TEST(AnswerText, StandsAnyBytes)
{
    // Every function reads what a model wrote; no byte may trip one.
    std::string bytes;
    for (int i = 0; i < 256; ++i)
        bytes += static_cast<char>(i);
    bytes += "The answer is -.,$The answer is $-.1,.";
    for (std::size_t begin = 0; begin < bytes.size(); ++begin) {
        const std::string_view text = std::string_view(bytes).substr(begin);
        strictNumber(text);
        flexibleNumber(text);
        choiceLetter(text, 5);
        normalisedAnswer(text);
        refusalPhrase(text);
        codeBlock(text);
        firstLine(text);
    }
    EXPECT_EQ(flexibleNumber(bytes), "-.1");
}

} // namespace
} // namespace kvloupe
