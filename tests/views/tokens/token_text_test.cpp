// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/sample_builder.h"
#include "views/tokens/token_layout.h"
#include "views/tokens/token_text.h"

#include <gtest/gtest.h>

#include <QStringList>

namespace kvloupe {
namespace {

QStringList groupsOf(const std::vector<std::string>& tokens)
{
    QStringList list;
    const TokenText text(sampleOf(tokens)->text);
    for (const TokenGroup& group : text.groups())
        list << QStringLiteral("%1-%2 %3%4")
                    .arg(group.begin)
                    .arg(group.end)
                    .arg(group.text, group.special ? QStringLiteral(" special") : QString());
    return list;
}

TEST(TokenText, GivesEveryTokenItsOwnGroupWhenCharactersAreWhole)
{
    EXPECT_EQ(groupsOf({"The", " cat", "\u00E9t\u00E9"}),
        QStringList({QStringLiteral("0-1 The"), QStringLiteral("1-2  cat"), QStringLiteral("2-3 \u00E9t\u00E9")}));
}

TEST(TokenText, ReadsTokensThatShareACharacterTogether)
{
    // An emoji of four bytes cut into three tokens, as byte-level tokenizers do.
    EXPECT_EQ(groupsOf({"a", "\xF0\x9F", "\x98", "\x80", "b"}),
        QStringList({QStringLiteral("0-1 a"), QStringLiteral("1-4 \U0001F600"), QStringLiteral("4-5 b")}));
}

TEST(TokenText, ReadsTokensWithTheSameByteRangeTogether)
{
    // Other tokenizers give every part the range of the whole character.
    auto sample = std::make_shared<SampleModel>(*sampleOf({"a", "\u20AC", "b"}));
    sample->text.offsets = {{0, 1}, {1, 4}, {1, 4}, {4, 5}};
    sample->text.pieces = {"a", "<0xE2>", "<0x82>", "b"};
    const TokenText text(sample->text);
    ASSERT_EQ(text.groups().size(), 3U);
    EXPECT_EQ(text.groups()[1], (TokenGroup{1, 3, QStringLiteral("\u20AC"), false}));
    EXPECT_EQ(text.groupOf(2), 1);
    EXPECT_EQ(text.groupOf(3), 2);
}

TEST(TokenText, NamesTokensWithoutCharacters)
{
    EXPECT_EQ(groupsOf({"<s>", "Hi", "</s>"}),
        QStringList({QStringLiteral("0-1 <s> special"), QStringLiteral("1-2 Hi"), QStringLiteral("2-3 </s> special")}));
}

TEST(TokenText, LosesNoByteThatNoTokenClaims)
{
    auto sample = std::make_shared<SampleModel>(*sampleOf({"ab", "cd"}));
    sample->text.text = "ab  cd!";
    sample->text.offsets = {{0, 2}, {4, 6}};
    const TokenText text(sample->text);
    QString whole;
    for (const TokenGroup& group : text.groups())
        whole += group.text;
    EXPECT_EQ(whole, QStringLiteral("ab  cd!"));
}

TEST(TokenText, SurvivesOffsetsThatGoBackOrBeyondTheText)
{
    auto sample = std::make_shared<SampleModel>(*sampleOf({"ab", "cd"}));
    sample->text.offsets = {{3, 900}, {-5, 2}, {2, 1}};
    const TokenText text(sample->text);
    EXPECT_EQ(text.tokenCount(), 3);
    EXPECT_GE(text.groupOf(2), 0);
}

TEST(TokenText, ShowsBytesThatAreNoUtf8AsReplacementCharacters)
{
    EXPECT_TRUE(TokenText(sampleOf({"a", "\xFF\xFE"})->text).groups()[1].text.contains(QChar::ReplacementCharacter));
}

TEST(TokenText, LabelsFitOnOneLine)
{
    const TokenText text(sampleOf({"\n\n", "\tx", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"})->text);
    EXPECT_EQ(text.label(0), QStringLiteral("\u23CE\u23CE"));
    EXPECT_EQ(text.label(1), QStringLiteral("\u21E5x"));
    EXPECT_EQ(text.label(2, 5), QStringLiteral("abcd\u2026"));
    EXPECT_EQ(text.label(99), QString());
}

/// Lines of a layout with ten pixels per character, as text.
QStringList linesOf(const std::vector<std::string>& tokens, double width)
{
    const TokenText text(sampleOf(tokens)->text);
    TokenLayout layout(text.groups(), [](const QString& words) { return 10.0 * static_cast<double>(words.size()); });
    layout.layOut(width);
    QStringList lines;
    for (int line = 0; line < layout.lineCount(); ++line) {
        QString words;
        for (const TokenFragment& fragment : layout.line(line))
            words += fragment.text;
        lines << words;
    }
    return lines;
}

TEST(TokenLayout, BreaksLinesBetweenTokens)
{
    EXPECT_EQ(
        linesOf({"aaaa", " bbbb", " cc"}, 95.0), QStringList({QStringLiteral("aaaa bbbb"), QStringLiteral(" cc")}));
}

TEST(TokenLayout, BreaksAtLineFeedsInsideAToken)
{
    EXPECT_EQ(linesOf({"ab.\n\nQ", ":"}, 500.0),
        QStringList({QStringLiteral("ab.\u23CE"), QStringLiteral("\u23CE"), QStringLiteral("Q:")}));
}

TEST(TokenLayout, EndsWithoutAnEmptyLineAfterTheLastLineFeed)
{
    EXPECT_EQ(linesOf({"ab", "\n"}, 500.0), QStringList({QStringLiteral("ab\u23CE")}));
}

TEST(TokenLayout, CutsATokenThatIsWiderThanALine)
{
    const QStringList lines = linesOf({std::string(300, 'x')}, 400.0);
    EXPECT_EQ(lines.size(), 4);
    EXPECT_EQ(lines.join(QString()).size(), 300);
}

TEST(TokenLayout, FindsTheFragmentUnderAPixel)
{
    const TokenText text(sampleOf({"aaaa", " bbbb"})->text);
    TokenLayout layout(text.groups(), [](const QString& words) { return 10.0 * static_cast<double>(words.size()); });
    layout.layOut(500.0);
    EXPECT_EQ(layout.fragmentAt(0, 39.0)->group, 0);
    EXPECT_EQ(layout.fragmentAt(0, 41.0)->group, 1);
    EXPECT_EQ(layout.fragmentAt(0, 4000.0)->group, 1);
    EXPECT_EQ(layout.fragmentAt(7, 0.0), nullptr);
}

TEST(TokenLayout, LaysOutNothing)
{
    EXPECT_TRUE(linesOf({}, 100.0).isEmpty());
}

} // namespace
} // namespace kvloupe
