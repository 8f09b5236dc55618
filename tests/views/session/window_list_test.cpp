// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/window_list.h"

#include "tests/support/make_recording.h"
#include "tests/views/widget_test.h"
#include "views/session/main_window.h"

#include <QApplication>
#include <QDropEvent>
#include <QMenu>
#include <QMimeData>
#include <QPointer>
#include <QTest>
#include <QUrl>

namespace kvloupe {
namespace {

class WindowListTest : public WidgetTest {
protected:
    WindowListTest()
    {
        for (const QString& name : {QStringLiteral("a.h5"), QStringLiteral("b.h5")})
            makeRecording(temporaryPath(name).toStdString(),
                {.layers = 1, .heads = 2, .kvHeads = 1, .headDim = 16, .promptTokens = 100});
    }

    QStringList listedWindows(MainWindow& window)
    {
        emit window.windowMenu()->aboutToShow();
        QStringList titles;
        for (const QAction* action : window.windowMenu()->actions()) {
            if (action->isCheckable())
                titles << (action->isChecked() ? QStringLiteral("*") : QString()) + action->text();
        }
        return titles;
    }

    bool isEverythingShown()
    {
        return waitFor([this] {
            return std::ranges::all_of(m_windows.windows(), [](const MainWindow* window) { return window->isReady(); });
        });
    }

    Settings m_settings{&settings()};
    WindowList m_windows{&m_settings};
};

TEST_F(WindowListTest, EachWindowHasARecordingOfItsOwn)
{
    MainWindow* first = m_windows.open(temporaryPath(QStringLiteral("a.h5")));
    emit first->windowRequested(temporaryPath(QStringLiteral("b.h5")));
    ASSERT_EQ(m_windows.windows().size(), 2U);
    MainWindow* second = m_windows.windows().back();
    ASSERT_TRUE(isEverythingShown());
    EXPECT_EQ(first->recordingPath().filename(), "a.h5");
    EXPECT_EQ(second->recordingPath().filename(), "b.h5");
    EXPECT_NE(first->pos(), second->pos());
    first->selection()->setKeepPermille(120);
    EXPECT_NE(second->selection()->keepPermille(), 120);
    EXPECT_EQ(
        listedWindows(*second), QStringList({QStringLiteral("a.h5 - KVLoupe"), QStringLiteral("*b.h5 - KVLoupe")}));
    EXPECT_EQ(listedWindows(*second).size(), 2) << "listed once, however often the menu opens";
}

TEST_F(WindowListTest, AWindowThatIsClosedIsGoneAndTheOthersStay)
{
    QPointer<MainWindow> first = m_windows.open(temporaryPath(QStringLiteral("a.h5")));
    QPointer<MainWindow> second = m_windows.open(temporaryPath(QStringLiteral("b.h5")));
    ASSERT_TRUE(isEverythingShown());
    QApplication::setActiveWindow(first);
    QTest::keyClick(first, Qt::Key_W, Qt::ControlModifier);
    QApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    EXPECT_TRUE(first.isNull());
    ASSERT_FALSE(second.isNull());
    EXPECT_EQ(listedWindows(*second), QStringList{QStringLiteral("*b.h5 - KVLoupe")});
    second->selection()->setKeepPermille(200);
    EXPECT_TRUE(isEverythingShown()) << "its worker threads are its own";
}

TEST_F(WindowListTest, AnEmptyWindowOpensByItsKeys)
{
    MainWindow* first = m_windows.open({});
    ASSERT_TRUE(QTest::qWaitForWindowExposed(first));
    QApplication::setActiveWindow(first);
    QTest::keyClick(first, Qt::Key_N, Qt::ControlModifier);
    ASSERT_EQ(m_windows.windows().size(), 2U);
    EXPECT_TRUE(m_windows.windows().back()->isVisible());
    EXPECT_TRUE(m_windows.windows().back()->recordingPath().empty());
}

TEST_F(WindowListTest, SeveralFilesThatAreDroppedGetAWindowEach)
{
    MainWindow* first = m_windows.open({});
    QMimeData data;
    data.setUrls({QUrl::fromLocalFile(temporaryPath(QStringLiteral("a.h5"))),
        QUrl::fromLocalFile(temporaryPath(QStringLiteral("b.h5")))});
    QDragEnterEvent enter(QPoint(300, 300), Qt::CopyAction, &data, Qt::LeftButton, {});
    QApplication::sendEvent(first, &enter);
    QDropEvent dropped(QPointF(300, 300), Qt::CopyAction, &data, Qt::LeftButton, {});
    QApplication::sendEvent(first, &dropped);
    ASSERT_EQ(m_windows.windows().size(), 2U);
    ASSERT_TRUE(isEverythingShown());
    EXPECT_EQ(first->recordingPath().filename(), "a.h5");
    EXPECT_EQ(m_windows.windows().back()->recordingPath().filename(), "b.h5");
}

} // namespace
} // namespace kvloupe
