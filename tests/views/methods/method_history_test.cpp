// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/widget_test.h"
#include "views/methods/method_history.h"
#include "views/methods/method_model.h"

#include <QUndoStack>

namespace kvloupe {
namespace {

class MethodHistoryTest : public WidgetTest {
protected:
    MethodHistoryTest() { m_methods.fromSpecs({QStringLiteral("snapkv"), QStringLiteral("h2o")}); }

    std::string front() const { return m_selection.method(); }

    Selection m_selection;
    MethodModel m_methods{&m_selection};
    QUndoStack m_stack;
    MethodHistory m_history{&m_methods, &m_stack};
};

TEST_F(MethodHistoryTest, AListThatIsLoadedIsNoEdit)
{
    m_methods.fromSpecs({QStringLiteral("tova")});
    EXPECT_EQ(m_stack.count(), 0);
    m_methods.add(QStringLiteral("h2o"));
    m_stack.undo();
    EXPECT_EQ(m_methods.toSpecs(), QStringList{QStringLiteral("tova")});
}

TEST_F(MethodHistoryTest, UndoesWhatWasAddedRemovedAndHidden)
{
    const QStringList first = m_methods.toSpecs();
    m_methods.add(QStringLiteral("tova"));
    EXPECT_EQ(m_stack.undoText(), QStringLiteral("Add TOVA"));
    m_methods.setShown(1, false);
    EXPECT_EQ(m_stack.undoText(), QStringLiteral("Hide H2O"));
    m_methods.remove(0);
    EXPECT_EQ(m_stack.undoText(), QStringLiteral("Remove SnapKV"));
    const QStringList last = m_methods.toSpecs();
    EXPECT_EQ(last, QStringList({QStringLiteral("-h2o"), QStringLiteral("tova")}));
    while (m_stack.canUndo())
        m_stack.undo();
    EXPECT_EQ(m_methods.toSpecs(), first);
    while (m_stack.canRedo())
        m_stack.redo();
    EXPECT_EQ(m_methods.toSpecs(), last);
}

TEST_F(MethodHistoryTest, TheMethodInFrontComesBackToTheFront)
{
    m_methods.setCurrent(0);
    m_methods.remove(0);
    EXPECT_EQ(front(), "h2o");
    m_stack.undo();
    EXPECT_EQ(front(), "snapkv");
    m_methods.setSpec(0, QStringLiteral("snapkv:window=8"));
    EXPECT_EQ(front(), "snapkv:window=8");
    m_stack.undo();
    EXPECT_EQ(front(), "snapkv");
}

TEST_F(MethodHistoryTest, AValueThatIsSpunIsOneStep)
{
    for (int window = 8; window < 20; ++window)
        m_methods.setSpec(0, QStringLiteral("snapkv:window=%1").arg(window));
    EXPECT_EQ(m_stack.count(), 1);
    EXPECT_EQ(m_stack.undoText(), QStringLiteral("Parameters of SnapKV"));
    m_methods.setSpec(1, QStringLiteral("h2o:variant=drop"));
    EXPECT_EQ(m_stack.count(), 2) << "another method is another step";
    m_stack.undo();
    m_stack.undo();
    EXPECT_EQ(m_methods.toSpecs(), QStringList({QStringLiteral("snapkv"), QStringLiteral("h2o")}));
    m_stack.redo();
    EXPECT_EQ(m_methods.toSpecs().front(), QStringLiteral("snapkv:window=19"));
}

TEST_F(MethodHistoryTest, KeepsColours)
{
    const QColor color = m_methods.entries()[1].color;
    m_methods.remove(0);
    m_stack.undo();
    EXPECT_EQ(m_methods.entries()[1].color, color);
}

} // namespace
} // namespace kvloupe
