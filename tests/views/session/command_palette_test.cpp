// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/command_palette.h"

#include "tests/views/widget_test.h"

#include <QAction>
#include <QLineEdit>
#include <QMainWindow>
#include <QMenu>
#include <QMenuBar>
#include <QTest>

namespace kvloupe {
namespace {

class CommandPaletteTest : public WidgetTest {
protected:
    CommandPaletteTest()
    {
        QMenu* file = m_window.menuBar()->addMenu(QStringLiteral("&File"));
        add(file, QStringLiteral("&Open..."))->setShortcut(QKeySequence(Qt::CTRL | Qt::Key_O));
        file->addSeparator();
        add(file, QStringLiteral("&Export Figure..."))->setEnabled(false);
        QMenu* recent = file->addMenu(QStringLiteral("Open &Recent"));
        add(recent, QStringLiteral("a.h5"));
        QMenu* view = m_window.menuBar()->addMenu(QStringLiteral("&View"));
        add(view, QStringLiteral("&Text"));
        add(view, QStringLiteral("Hidden"))->setVisible(false);
    }

    QAction* add(QMenu* menu, const QString& text)
    {
        QAction* action = menu->addAction(text);
        QObject::connect(action, &QAction::triggered, &m_window, [this, text] { m_given << text; });
        return action;
    }

    QMainWindow m_window;
    QStringList m_given;
};

TEST_F(CommandPaletteTest, ListsWhatCanBeGivenNow)
{
    CommandPalette palette(commandsOf(m_window));
    EXPECT_EQ(palette.titlesOnShow(),
        QStringList(
            {QStringLiteral("File: Open"), QStringLiteral("File: Open Recent: a.h5"), QStringLiteral("View: Text")}));
    EXPECT_EQ(commandsOf(m_window).front().keys, QStringLiteral("Ctrl+O"));
}

TEST_F(CommandPaletteTest, FindsByWordsInAnyOrder)
{
    CommandPalette palette(commandsOf(m_window));
    showAndWait(palette, 400, 300);
    QTest::keyClicks(palette.filterLine(), QStringLiteral("rec FILE"));
    EXPECT_EQ(palette.titlesOnShow(), QStringList({QStringLiteral("File: Open Recent: a.h5")}));
    QTest::keyClicks(palette.filterLine(), QStringLiteral("zzz"));
    EXPECT_TRUE(palette.titlesOnShow().isEmpty());
    QTest::keyClick(palette.filterLine(), Qt::Key_Return);
    EXPECT_TRUE(m_given.isEmpty());
}

TEST_F(CommandPaletteTest, EnterGivesTheChosenCommandOnce)
{
    CommandPalette palette(commandsOf(m_window));
    showAndWait(palette, 400, 300);
    QTest::keyClick(palette.filterLine(), Qt::Key_Down);
    QTest::keyClick(palette.filterLine(), Qt::Key_Down);
    QTest::keyClick(palette.filterLine(), Qt::Key_Up);
    QTest::keyClick(palette.filterLine(), Qt::Key_Return);
    EXPECT_EQ(m_given, QStringList({QStringLiteral("a.h5")}));
    EXPECT_FALSE(palette.isVisible());
}

TEST_F(CommandPaletteTest, EscapeGivesNone)
{
    CommandPalette palette(commandsOf(m_window));
    showAndWait(palette, 400, 300);
    QTest::keyClick(palette.filterLine(), Qt::Key_Escape);
    EXPECT_FALSE(palette.isVisible());
    EXPECT_TRUE(m_given.isEmpty());
}

} // namespace
} // namespace kvloupe
