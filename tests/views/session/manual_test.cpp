// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/manual.h"

#include "tests/views/widget_test.h"

#include <QLineEdit>
#include <QTest>
#include <QTextBrowser>
#include <QTextCursor>
#include <QTreeWidget>
#include <QUrl>

#include <algorithm>
#include <set>
#include <vector>

namespace kvloupe {
namespace {

TEST(ManualSectionsTest, CutsAtHeadingsOutsideOfCode)
{
    const auto sections = manualSections(QStringLiteral("a.md"),
        QStringLiteral("<!-- licence -->\n# Page\nintro\n## `one` and two\n![picture](a.png)\ntext\n```\n# a "
                       "comment\n```\n#### deep\n## last\n"));
    ASSERT_EQ(sections.size(), 3U);
    EXPECT_EQ(sections[0].title, QStringLiteral("Page"));
    EXPECT_EQ(sections[0].markdown, QStringLiteral("# Page\nintro\n"));
    EXPECT_EQ(sections[1].title, QStringLiteral("one and two"));
    EXPECT_EQ(sections[1].level, 2);
    EXPECT_TRUE(sections[1].markdown.contains(QStringLiteral("# a comment")));
    EXPECT_TRUE(sections[1].markdown.contains(QStringLiteral("#### deep")));
    EXPECT_FALSE(sections[1].markdown.contains(QStringLiteral("a.png")));
    EXPECT_TRUE(manualSections(QStringLiteral("a.md"), QString()).empty());
}

class ManualTest : public WidgetTest {
protected:
    ManualTest() { showAndWait(m_manual, 1000, 700); }

    const ManualSection& section() const { return m_manual.sections()[static_cast<std::size_t>(m_manual.current())]; }

    Manual m_manual;
};

TEST_F(ManualTest, EverySectionIsShownAndNothingHoldsTheWindowUp)
{
    std::set<QString> files;
    QTreeWidgetItemIterator item(m_manual.contents());
    for (; *item; ++item) {
        m_manual.contents()->setCurrentItem(*item);
        QCoreApplication::processEvents();
        const QString text = m_manual.text()->toPlainText();
        EXPECT_TRUE(text.contains(section().title.left(10))) << qPrintable(section().title);
        EXPECT_FALSE(text.contains(QStringLiteral("|---|"))) << qPrintable(section().title);
        files.insert(section().file);
    }
    EXPECT_EQ(files.size(), 11U);
    EXPECT_TRUE(files.contains(QStringLiteral("window.md")));
    EXPECT_TRUE(files.contains(QStringLiteral("models.md")));
}

TEST_F(ManualTest, LinksLeadToPagesAndSections)
{
    emit m_manual.text()->anchorClicked(QUrl(QStringLiteral("methods.md")));
    EXPECT_EQ(section().file, QStringLiteral("methods.md"));
    EXPECT_EQ(section().level, 1);
    emit m_manual.text()->anchorClicked(QUrl(QStringLiteral("command-line.md#what-holds-for-every-command")));
    EXPECT_EQ(section().title, QStringLiteral("What holds for every command"));
    emit m_manual.text()->anchorClicked(QUrl(QStringLiteral("#commands")));
    EXPECT_EQ(section().title, QStringLiteral("Commands"));
    emit m_manual.text()->anchorClicked(QUrl(QStringLiteral("nothing.md")));
    EXPECT_EQ(section().title, QStringLiteral("Commands")) << "a link to what is not built in leads nowhere";
}

TEST_F(ManualTest, FindsWordsInLaterSectionsAndBeginsAgainAfterTheLast)
{
    QTest::keyClick(&m_manual, Qt::Key_F, Qt::ControlModifier);
    ASSERT_TRUE(m_manual.findLine()->hasFocus());
    QTest::keyClicks(m_manual.findLine(), QStringLiteral("bootstrap"));
    std::vector<int> found;
    for (int i = 0; i < 30; ++i) {
        QTest::keyClick(m_manual.findLine(), Qt::Key_Return);
        EXPECT_EQ(m_manual.text()->textCursor().selectedText().toLower(), QStringLiteral("bootstrap"));
        found.push_back(m_manual.current());
    }
    EXPECT_TRUE(m_manual.isVisible()) << "Enter does not close it";
    EXPECT_GT(std::set<int>(found.begin(), found.end()).size(), 2U);
    EXPECT_FALSE(std::ranges::is_sorted(found)) << "it begins again";
}

} // namespace
} // namespace kvloupe
