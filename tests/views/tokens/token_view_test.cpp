// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/sample_builder.h"
#include "tests/views/widget_test.h"
#include "views/tokens/token_panel.h"
#include "views/tokens/token_view.h"

#include <QApplication>
#include <QCheckBox>
#include <QClipboard>
#include <QImage>
#include <QLabel>
#include <QLineEdit>
#include <QScrollBar>
#include <QSignalSpy>
#include <QTest>

namespace kvloupe {
namespace {

class TokenViewTest : public WidgetTest {
protected:
    static SampleModelPtr sentence() { return sampleOf({"<s>", "The", " cat", " sat", " on", " the", " mat", "."}); }

    /// How dark the darkest pixel of a token is: 0 black, 255 white.
    static int darkest(TokenView& view, std::int64_t token)
    {
        const QImage image = view.viewport()->grab(view.tokenRect(token).adjusted(0, 3, 0, -3)).toImage();
        int value = 255;
        for (int y = 0; y < image.height(); ++y) {
            for (int x = 0; x < image.width(); ++x)
                value = std::min(value, qGray(image.pixel(x, y)));
        }
        return value;
    }
};

TEST_F(TokenViewTest, AClickSelectsTheKeyColumn)
{
    Selection selection;
    TokenView view;
    view.setSelection(&selection);
    view.setSample(sentence());
    showAndWait(view, 500, 200);
    QTest::mouseClick(view.viewport(), Qt::LeftButton, {}, view.tokenRect(3).center());
    EXPECT_EQ(selection.key(), 3);
    EXPECT_EQ(selection.query(), 7) << "without a query in view, the last one of the prompt looks";
}

TEST_F(TokenViewTest, AClickKeepsTheQueryUnlessItIsBeforeTheKey)
{
    Selection selection;
    selection.setCell(5, 1);
    TokenView view;
    view.setSelection(&selection);
    view.setSample(sentence());
    showAndWait(view, 500, 200);
    QTest::mouseClick(view.viewport(), Qt::LeftButton, {}, view.tokenRect(2).center());
    EXPECT_EQ(selection.query(), 5);
    QTest::mouseClick(view.viewport(), Qt::LeftButton, {}, view.tokenRect(6).center());
    EXPECT_EQ(selection.query(), 6);
    EXPECT_EQ(selection.key(), 6);
}

TEST_F(TokenViewTest, ArrowKeysMoveFromTokenToToken)
{
    Selection selection;
    TokenView view;
    view.setSelection(&selection);
    view.setSample(sentence());
    showAndWait(view, 500, 200);
    view.setFocus();
    QTest::keyClick(&view, Qt::Key_Right);
    EXPECT_EQ(selection.key(), 0);
    QTest::keyClick(&view, Qt::Key_Right);
    EXPECT_EQ(selection.key(), 1);
    QTest::keyClick(&view, Qt::Key_End);
    EXPECT_EQ(selection.key(), 7);
    QTest::keyClick(&view, Qt::Key_Left);
    EXPECT_EQ(selection.key(), 6);
    QTest::keyClick(&view, Qt::Key_Home, Qt::ControlModifier);
    EXPECT_EQ(selection.key(), 0);
}

TEST_F(TokenViewTest, FollowsTheSelectionOfOtherViews)
{
    Selection selection;
    TokenView view;
    view.setSelection(&selection);
    view.setSample(sentence());
    showAndWait(view, 500, 200);
    const QImage before = view.viewport()->grab(view.tokenRect(4)).toImage();
    selection.setCell(7, 4);
    EXPECT_NE(view.viewport()->grab(view.tokenRect(4)).toImage(), before);
    EXPECT_EQ(view.currentToken(), 4);
    EXPECT_TRUE(view.accessibleDescription().contains(QStringLiteral("token 4")));
}

TEST_F(TokenViewTest, FadesWhatAMethodDropped)
{
    TokenView view;
    view.setSample(sentence());
    showAndWait(view, 500, 200);
    const int kept = darkest(view, 2);
    view.setKept(std::vector<std::int32_t>{0, 1, 6, 7});
    EXPECT_TRUE(view.isDropped(2));
    EXPECT_FALSE(view.isDropped(6));
    EXPECT_GT(darkest(view, 2), kept + 40) << "a dropped token is paler";
    EXPECT_LT(darkest(view, 2), 200) << "and still readable";
    view.setKept(std::nullopt);
    EXPECT_EQ(darkest(view, 2), kept);
}

TEST_F(TokenViewTest, NeverFadesGeneratedTokens)
{
    TokenView view;
    view.setSample(sampleOf({"<s>", "What", "?", " Yes", "."}, 3));
    view.setKept(std::vector<std::int32_t>{0});
    EXPECT_TRUE(view.isDropped(1));
    EXPECT_FALSE(view.isDropped(3));
}

TEST_F(TokenViewTest, CopiesWhatSurvived)
{
    TokenView view;
    view.setSample(sentence());
    view.setKept(std::vector<std::int32_t>{0, 1, 3, 7});
    showAndWait(view, 500, 200);
    view.setFocus();
    QTest::keyClick(&view, Qt::Key_C, Qt::ControlModifier);
    EXPECT_EQ(QApplication::clipboard()->text(), QStringLiteral("The sat."));
    QTest::keyClick(&view, Qt::Key_C, Qt::ControlModifier | Qt::ShiftModifier);
    EXPECT_EQ(QApplication::clipboard()->text(), QStringLiteral("The cat sat on the mat."));
}

TEST_F(TokenViewTest, CopiesOnlyTheStretchThatIsSelected)
{
    TokenView view;
    view.setSample(sentence());
    view.setKept(std::vector<std::int32_t>{2, 4});
    showAndWait(view, 500, 200);
    const QPoint from = view.tokenRect(2).center();
    const QPoint to = view.tokenRect(5).center();
    QTest::mousePress(view.viewport(), Qt::LeftButton, {}, from);
    QMouseEvent move(
        QEvent::MouseMove, QPointF(to), view.viewport()->mapToGlobal(QPointF(to)), Qt::LeftButton, Qt::LeftButton, {});
    QApplication::sendEvent(view.viewport(), &move);
    QTest::mouseRelease(view.viewport(), Qt::LeftButton, {}, to);
    EXPECT_TRUE(view.hasTokenSelection());
    EXPECT_EQ(view.plainText(false), QStringLiteral(" cat sat on the"));
    QTest::keyClick(&view, Qt::Key_C, Qt::ControlModifier);
    EXPECT_EQ(QApplication::clipboard()->text(), QStringLiteral(" cat on"));
}

TEST_F(TokenViewTest, ExtendsTheStretchByKeyboard)
{
    TokenView view;
    Selection selection;
    view.setSelection(&selection);
    view.setSample(sentence());
    showAndWait(view, 500, 200);
    view.activateToken(1);
    QTest::keyClick(&view, Qt::Key_Right, Qt::ShiftModifier);
    QTest::keyClick(&view, Qt::Key_Right, Qt::ShiftModifier);
    EXPECT_EQ(view.plainText(false), QStringLiteral("The cat sat"));
    QTest::keyClick(&view, Qt::Key_Escape);
    EXPECT_FALSE(view.hasTokenSelection());
}

TEST_F(TokenViewTest, MarksWhereShotsBegin)
{
    std::vector<std::string> tokens;
    for (int index = 0; index < 40; ++index)
        tokens.push_back(index % 10 == 9 ? " end\n" : " word");
    TokenView plain;
    plain.setSample(sampleOf(tokens));
    TokenView marked;
    marked.setSample(sampleOf(tokens, -1, {{0, 20, SpanKind::Shot, 0, ""}, {20, 40, SpanKind::Shot, 1, ""}}));
    showAndWait(plain, 700, 200);
    showAndWait(marked, 700, 200);
    EXPECT_GT(marked.tokenRect(0).left(), plain.tokenRect(0).left() + 20) << "the gutter names the shots";
    const QRect gutter(0, marked.tokenRect(20).top(), marked.tokenRect(20).left() - 8, marked.tokenRect(20).height());
    const QImage image = marked.viewport()->grab(gutter).toImage();
    bool inked = false;
    for (int x = 0; x < image.width(); ++x)
        inked |= qGray(image.pixel(x, image.height() / 2)) < 180;
    EXPECT_TRUE(inked);
}

TEST_F(TokenViewTest, PaintsOnlyWhatIsVisible)
{
    std::vector<std::string> tokens;
    for (int index = 0; index < 32'768; ++index)
        tokens.push_back(index % 20 == 19 ? " end\n" : " word");
    TokenView view;
    view.setSample(sampleOf(tokens));
    showAndWait(view, 700, 300);
    EXPECT_GT(view.verticalScrollBar()->maximum(), 20'000);
    view.showToken(32'000);
    EXPECT_TRUE(view.viewport()->rect().intersects(view.tokenRect(32'000)));
    const QPoint middle = view.tokenRect(32'000).center();
    EXPECT_EQ(view.tokenAt(middle), 32'000);
}

TEST_F(TokenViewTest, KeepsTheFirstVisibleLineWhenItBecomesNarrower)
{
    std::vector<std::string> tokens(4'000, " word");
    TokenView view;
    view.setSample(sampleOf(tokens));
    showAndWait(view, 700, 300);
    view.verticalScrollBar()->setValue(view.verticalScrollBar()->maximum() / 2);
    const std::int64_t first = view.tokenAt(QPoint(view.tokenRect(0).left() + 4, 15));
    view.resize(350, 300);
    ASSERT_TRUE(waitFor([&] { return view.viewport()->width() < 360; }));
    EXPECT_NEAR(
        static_cast<double>(view.tokenAt(QPoint(view.tokenRect(0).left() + 4, 15))), static_cast<double>(first), 25.0);
}

TEST_F(TokenViewTest, FindsTextAcrossTokens)
{
    TokenPanel panel;
    panel.view()->setSample(sentence());
    showAndWait(panel, 600, 260);
    panel.openFindBar();
    auto* pattern = panel.findChild<QLineEdit*>(QStringLiteral("findPattern"));
    QTest::keyClicks(pattern, QStringLiteral("cat s"));
    EXPECT_EQ(panel.view()->matchCount(), 1);
    EXPECT_EQ(panel.findChild<QLabel*>(QStringLiteral("findMatches"))->text(), QStringLiteral("1 of 1"));
    QTest::keyClicks(pattern, QStringLiteral("zzz"));
    EXPECT_EQ(panel.view()->matchCount(), 0);
    EXPECT_EQ(panel.findChild<QLabel*>(QStringLiteral("findMatches"))->text(), QStringLiteral("no match"));
    QTest::keyClick(pattern, Qt::Key_Escape);
    EXPECT_FALSE(pattern->isVisible());
}

TEST_F(TokenViewTest, GoesRoundTheMatches)
{
    Selection selection;
    TokenPanel panel;
    panel.view()->setSelection(&selection);
    panel.view()->setSample(sentence());
    showAndWait(panel, 600, 260);
    panel.openFindBar();
    auto* pattern = panel.findChild<QLineEdit*>(QStringLiteral("findPattern"));
    QTest::keyClicks(pattern, QStringLiteral("the"));
    EXPECT_EQ(panel.view()->matchCount(), 2) << "letter case does not matter";
    QTest::keyClick(pattern, Qt::Key_Return);
    EXPECT_EQ(selection.key(), 5);
    QTest::keyClick(pattern, Qt::Key_Return);
    EXPECT_EQ(selection.key(), 1);
    QTest::keyClick(pattern, Qt::Key_Return, Qt::ShiftModifier);
    EXPECT_EQ(selection.key(), 5);
}

TEST_F(TokenViewTest, SaysWhatIsWrongWithARegularExpression)
{
    TokenPanel panel;
    panel.view()->setSample(sentence());
    showAndWait(panel, 600, 260);
    panel.openFindBar();
    panel.findChild<QCheckBox*>()->click();
    auto* pattern = panel.findChild<QLineEdit*>(QStringLiteral("findPattern"));
    QTest::keyClicks(pattern, QStringLiteral("[cm]at"));
    EXPECT_EQ(panel.view()->matchCount(), 2);
    pattern->clear();
    QTest::keyClicks(pattern, QStringLiteral("(cat"));
    EXPECT_TRUE(
        panel.findChild<QLabel*>(QStringLiteral("findMatches"))->text().contains(QStringLiteral("at character")));
}

TEST_F(TokenViewTest, GivesUpOnAPatternThatIsTooHard)
{
    TokenView view;
    view.setSample(sampleOf({std::string(5000, 'a'), "b"}));
    showAndWait(view, 500, 200);
    const QString problem = view.find(QStringLiteral("(a+)+[cd]"), FindMode::RegularExpression);
    EXPECT_FALSE(problem.isEmpty());
    EXPECT_EQ(view.matchCount(), 0);
    EXPECT_EQ(view.find(QStringLiteral("("), FindMode::RegularExpression).section(QLatin1Char(' '), -2),
        QStringLiteral("character 2"))
        << "where it is wrong in what was typed";
}

TEST_F(TokenViewTest, AMarkedStretchIsPartOfTheSelection)
{
    Selection selection;
    TokenView view;
    view.setSelection(&selection);
    view.setSample(sentence());
    showAndWait(view, 500, 200);
    QTest::mousePress(view.viewport(), Qt::LeftButton, {}, view.tokenRect(2).center());
    QTest::mouseMove(view.viewport(), view.tokenRect(4).center());
    QTest::mouseRelease(view.viewport(), Qt::LeftButton, {}, view.tokenRect(4).center());
    EXPECT_EQ(selection.range(), (TokenRange{2, 5}));
    selection.setRange({1, 3});
    EXPECT_EQ(view.plainText(false), QStringLiteral("The cat")) << "other views mark text too";
    view.setFocus();
    QTest::keyClick(&view, Qt::Key_Escape);
    EXPECT_EQ(selection.range(), TokenRange{});
}

TEST_F(TokenViewTest, UnderlinesAreHeavierTheMoreHeadsVote)
{
    TokenView view;
    view.setSample(sentence());
    showAndWait(view, 500, 200);
    const auto coloured = [&](std::int64_t token) {
        const QImage image = view.viewport()->grab(view.tokenRect(token)).toImage();
        int count = 0;
        for (int y = 0; y < image.height(); ++y) {
            for (int x = 0; x < image.width(); ++x)
                count += QColor(image.pixel(x, y)).saturation() > 40 ? 1 : 0;
        }
        return count;
    };
    view.setVotes({{4, 4, 1, 0, 4, 4, 4, 4}, 4});
    EXPECT_EQ(coloured(3), 0) << "nobody keeps it";
    EXPECT_GT(coloured(2), 5);
    EXPECT_GT(coloured(1), 2 * coloured(2));
    EXPECT_TRUE(view.accessibleDescription().size() > 0);
}

TEST_F(TokenViewTest, OtherSpansDoNotScroll)
{
    std::vector<std::string> words;
    for (int word = 0; word < 400; ++word)
        words.push_back(" word" + std::to_string(word));
    TokenView view;
    view.setSample(sampleOf(words, -1, {{0, 100, SpanKind::Shot, 0, {}}}));
    showAndWait(view, 300, 120);
    view.verticalScrollBar()->setValue(200);
    view.setSample(sampleOf(words, -1, {{0, 50, SpanKind::Shot, 0, {}}}));
    EXPECT_EQ(view.verticalScrollBar()->value(), 200);
}

TEST_F(TokenViewTest, ShowsNothingWithoutASample)
{
    TokenView view;
    view.setSample(nullptr);
    showAndWait(view, 300, 200);
    EXPECT_EQ(view.tokenAt(QPoint(20, 20)), -1);
    EXPECT_EQ(view.plainText(false), QString());
    QTest::keyClick(&view, Qt::Key_Down);
    QTest::keyClick(&view, Qt::Key_Right);
    QTest::mouseClick(view.viewport(), Qt::LeftButton, {}, QPoint(20, 20));
}

} // namespace
} // namespace kvloupe
