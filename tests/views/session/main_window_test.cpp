// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/support/make_recording.h"
#include "tests/views/widget_test.h"
#include "views/heads/head_wall.h"
#include "views/heatmap/heat_map_view.h"
#include "views/heatmap/plot.h"
#include "views/methods/methods_panel.h"
#include "views/session/error_bar.h"
#include "views/session/export_dialog.h"
#include "views/session/main_window.h"
#include "views/session/sample_list.h"
#include "views/session/session.h"
#include "views/shots/shots_view.h"
#include "views/tokens/token_panel.h"

#include <QAccessible>
#include <QApplication>
#include <QClipboard>
#include <QComboBox>
#include <QDockWidget>
#include <QDropEvent>
#include <QFile>
#include <QFileInfo>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QMenuBar>
#include <QMimeData>
#include <QPushButton>
#include <QScrollArea>
#include <QSet>
#include <QSignalSpy>
#include <QSlider>
#include <QTabBar>
#include <QTest>
#include <QUrl>

#include <set>

namespace kvloupe {
namespace {

class MainWindowTest : public WidgetTest {
protected:
    void SetUp() override
    {
        expectMessage(QStringLiteral("This plugin does not support")); // the offscreen platform's own remarks
        makeRecording(
            path(), {.layers = 2, .heads = 4, .kvHeads = 2, .headDim = 16, .promptTokens = 200, .samples = 2});
    }

    std::filesystem::path path() const { return temporaryPath(QStringLiteral("r.h5")).toStdString(); }

    /// Opens the recording and waits until everything is there.
    void openAndWait(MainWindow& window, StartView start = {})
    {
        showAndWait(window, 1300, 850);
        window.open(path(), std::move(start));
        ASSERT_TRUE(waitFor([&] { return window.isReady(); })) << qPrintable(window.lastProblem());
    }

    static void drop(MainWindow& window, const QList<QUrl>& urls)
    {
        QMimeData data;
        data.setUrls(urls);
        QDragEnterEvent enter(QPoint(300, 300), Qt::CopyAction, &data, Qt::LeftButton, {});
        QApplication::sendEvent(&window, &enter);
        EXPECT_TRUE(enter.isAccepted());
        QDropEvent dropped(QPointF(300, 300), Qt::CopyAction, &data, Qt::LeftButton, {});
        QApplication::sendEvent(&window, &dropped);
    }

    Settings m_settings{&settings()};
};

TEST_F(MainWindowTest, ShowsSamplesHeadsMapTextAndMethods)
{
    MainWindow window(&m_settings);
    openAndWait(window);
    EXPECT_EQ(window.sampleList()->sampleModel()->rowCount(), 2);
    EXPECT_EQ(window.selection()->layer(), 0);
    EXPECT_EQ(window.tokenPanel()->view()->text().tokenCount(), 200);
    EXPECT_FALSE(window.errorBar()->isVisible());
    EXPECT_TRUE(window.windowTitle().contains(QStringLiteral("r.h5")));
    EXPECT_EQ(m_settings.recentFiles().size(), 1);
}

TEST_F(MainWindowTest, TheSliderChangesOverlayAndText)
{
    MainWindow window(&m_settings);
    openAndWait(window, {.sample = std::nullopt, .layer = 1, .head = 2});
    window.methodsPanel()->keepSlider()->setFocus();
    QTest::keyClick(window.methodsPanel()->keepSlider(), Qt::Key_End);
    EXPECT_FALSE(window.tokenPanel()->view()->isDropped(100));
    const QImage everything = window.heatMap()->grab().toImage();
    for (int step = 0; step < 9; ++step)
        QTest::keyClick(window.methodsPanel()->keepSlider(), Qt::Key_PageDown);
    EXPECT_EQ(window.selection()->keepPermille(), 100);
    EXPECT_TRUE(window.tokenPanel()->view()->isDropped(100)) << "StreamingLLM keepss both ends only";
    EXPECT_FALSE(window.tokenPanel()->view()->isDropped(0));
    EXPECT_NE(window.heatMap()->grab().toImage(), everything);
    EXPECT_EQ(m_settings.keepPermille(), 100);
}

TEST_F(MainWindowTest, DigitsShowAndHideMethods)
{
    MainWindow window(&m_settings);
    openAndWait(window);
    const auto shown = [&](std::size_t row) { return window.methods()->entries()[row].shown; };
    const bool before = shown(1);
    QTest::keyClick(&window, Qt::Key_2);
    EXPECT_NE(shown(1), before);
    QTest::keyClick(&window, Qt::Key_2);
    EXPECT_EQ(shown(1), before);
    QTest::keyClick(&window, Qt::Key_9);
    QTest::keyClicks(window.methodsPanel()->specLine(), QStringLiteral("2"));
    EXPECT_EQ(shown(1), before) << "digits typed into a line are text";
}

TEST_F(MainWindowTest, TheStatusLineNamesTheCellAndWhatMethodsDo)
{
    MainWindow window(&m_settings);
    openAndWait(window);
    window.selection()->setCell(150, 0);
    EXPECT_TRUE(window.statusLine().startsWith(QStringLiteral("layer 0 head 0 | q 150 \"")))
        << qPrintable(window.statusLine());
    EXPECT_TRUE(window.statusLine().contains(QStringLiteral("| k 0 \"")));
    EXPECT_TRUE(window.statusLine().contains(QStringLiteral("StreamingLLM keep")));
    window.selection()->setCell(150, 100);
    EXPECT_TRUE(window.statusLine().contains(QStringLiteral("StreamingLLM drops")));
    const QPointF pixel = window.heatMap()->pixelOfCell(180, 20);
    QTest::mouseMove(window.heatMap()->plot(), pixel.toPoint() - QPoint(9, 9));
    QTest::mouseMove(window.heatMap()->plot(), pixel.toPoint());
    EXPECT_TRUE(waitFor([&] { return window.statusLine().contains(QStringLiteral("a = ")); }))
        << qPrintable(window.statusLine());
}

TEST_F(MainWindowTest, AClickOnATokenSelectsTheKey)
{
    MainWindow window(&m_settings);
    openAndWait(window);
    TokenView* text = window.tokenPanel()->view();
    QTest::mouseClick(text->viewport(), Qt::LeftButton, {}, text->tokenRect(5).center());
    EXPECT_EQ(window.selection()->key(), 5);
    EXPECT_TRUE(window.statusLine().contains(QStringLiteral("k 5 \"")));
}

TEST_F(MainWindowTest, ChangesTheSample)
{
    MainWindow window(&m_settings);
    openAndWait(window, {.sample = "1", .layer = 1, .head = 3});
    EXPECT_EQ(window.selection()->sample(), 1);
    EXPECT_EQ(window.selection()->head(), 3);
    QSignalSpy shown(&window, &MainWindow::sampleShown);
    window.sampleList()->setFocus();
    QTest::keyClick(window.sampleList(), Qt::Key_Up);
    ASSERT_TRUE(waitFor([&] { return shown.count() == 1 && window.isReady(); }));
    EXPECT_EQ(window.selection()->sample(), 0);
    EXPECT_EQ(window.selection()->head(), 3) << "the head in view stays";
}

TEST_F(MainWindowTest, SaysWhyARecordingCannotBeOpenedAndStaysUp)
{
    const QString broken = temporaryPath(QStringLiteral("broken.h5"));
    QFile file(broken);
    ASSERT_TRUE(file.open(QIODevice::WriteOnly));
    file.write("this is no recording");
    file.close();
    MainWindow window(&m_settings);
    showAndWait(window, 1000, 700);
    window.open(broken.toStdString());
    ASSERT_TRUE(waitFor([&] { return window.errorBar()->isVisible(); }));
    EXPECT_TRUE(window.errorBar()->message().contains(QStringLiteral("broken.h5")));
    QTest::mouseClick(window.findChild<QPushButton*>(QStringLiteral("errorCopy")), Qt::LeftButton);
    EXPECT_EQ(QApplication::clipboard()->text(), window.errorBar()->message());
    EXPECT_TRUE(window.isVisible());

    window.open(path());
    ASSERT_TRUE(waitFor([&] { return window.isReady(); })) << "the next one opens";
    EXPECT_TRUE(window.errorBar()->isVisible()) << "the message stays until it is closed";
    QTest::mouseClick(window.findChild<QPushButton*>(QStringLiteral("errorClose")), Qt::LeftButton);
    EXPECT_FALSE(window.errorBar()->isVisible());
    EXPECT_EQ(m_settings.recentFiles().size(), 1) << "what did not open is no recent file";
}

TEST_F(MainWindowTest, OpensWhatIsDropped)
{
    MainWindow window(&m_settings);
    showAndWait(window, 1000, 700);
    drop(window, {QUrl::fromLocalFile(QString::fromStdString(path().string()))});
    EXPECT_TRUE(waitFor([&] { return window.isReady(); }));
}

TEST_F(MainWindowTest, ReadsTheFileAgain)
{
    MainWindow window(&m_settings);
    openAndWait(window, {.sample = "1", .layer = 1, .head = 2});
    window.selection()->setCell(150, 42);
    makeRecording(path(), {.layers = 2, .heads = 4, .kvHeads = 2, .headDim = 16, .promptTokens = 200, .samples = 3});
    QTest::keyClick(&window, Qt::Key_F5);
    ASSERT_TRUE(waitFor([&] { return window.isReady(); }));
    EXPECT_EQ(window.sampleList()->sampleModel()->rowCount(), 3);
    EXPECT_EQ(window.selection()->sample(), 1);
    EXPECT_EQ(window.selection()->layer(), 1);
    EXPECT_EQ(window.selection()->head(), 2);
    EXPECT_EQ(window.selection()->key(), 42);
}

TEST_F(MainWindowTest, OpensAFolderOfParts)
{
    const std::filesystem::path growing = temporaryPath(QStringLiteral("growing.h5")).toStdString();
    makeRecording(growing,
        {.layers = 2, .heads = 4, .kvHeads = 2, .headDim = 16, .promptTokens = 200, .samples = 2, .merge = false});
    MainWindow window(&m_settings);
    showAndWait(window, 1000, 700);
    window.open(growing.string() + ".parts");
    EXPECT_TRUE(waitFor([&] { return window.isReady(); })) << qPrintable(window.lastProblem());
}

TEST_F(MainWindowTest, RemembersItsLayout)
{
    {
        MainWindow window(&m_settings);
        showAndWait(window, 1111, 777);
        window.findChild<QDockWidget*>(QStringLiteral("headsDock"))->hide();
        window.addDockWidget(Qt::LeftDockWidgetArea, window.findChild<QDockWidget*>(QStringLiteral("methodsDock")));
        window.close();
    }
    MainWindow window(&m_settings);
    showAndWait(window, window.width(), window.height());
    EXPECT_EQ(window.size(), QSize(1111, 777));
    EXPECT_FALSE(window.findChild<QDockWidget*>(QStringLiteral("headsDock"))->isVisible());
    EXPECT_EQ(
        window.dockWidgetArea(window.findChild<QDockWidget*>(QStringLiteral("methodsDock"))), Qt::LeftDockWidgetArea);
    window.restoreDefaultLayout();
    EXPECT_TRUE(window.findChild<QDockWidget*>(QStringLiteral("headsDock"))->isVisible());
    EXPECT_EQ(
        window.dockWidgetArea(window.findChild<QDockWidget*>(QStringLiteral("methodsDock"))), Qt::RightDockWidgetArea);
}

TEST_F(MainWindowTest, EveryDockIsShownAndHiddenByItsKeysAndRestored)
{
    MainWindow window(&m_settings);
    openAndWait(window);
    const auto docks = window.findChildren<QDockWidget*>();
    ASSERT_GE(docks.size(), 8);
    for (QDockWidget* dock : docks) {
        const QKeySequence keys = dock->toggleViewAction()->shortcut();
        ASSERT_EQ(keys.count(), 1) << qPrintable(dock->windowTitle());
        const bool before = dock->toggleViewAction()->isChecked();
        QTest::keyClick(&window, keys[0].key(), keys[0].keyboardModifiers());
        EXPECT_NE(dock->toggleViewAction()->isChecked(), before) << qPrintable(dock->windowTitle());
        dock->setFloating(true);
        dock->close();
    }
    window.restoreDefaultLayout();
    // Until they are asked for.
    const QStringList closed{QStringLiteral("resultsDock"), QStringLiteral("sparsityDock"), QStringLiteral("jobsDock"),
        QStringLiteral("lostDock")};
    for (QDockWidget* dock : docks) {
        EXPECT_FALSE(dock->isFloating()) << qPrintable(dock->windowTitle());
        EXPECT_EQ(dock->toggleViewAction()->isChecked(), !closed.contains(dock->objectName()))
            << qPrintable(dock->windowTitle());
    }
    const auto* text = window.findChild<QDockWidget*>(QStringLiteral("textDock"));
    EXPECT_EQ(window.tabifiedDockWidgets(const_cast<QDockWidget*>(text)).size(), 5)
        << "shots, timeline, results, sparsity and jobs lie behind";
    EXPECT_FALSE(text->visibleRegion().isEmpty());
}

TEST_F(MainWindowTest, AViewIsBroughtToTheFrontByName)
{
    MainWindow window(&m_settings);
    openAndWait(window);
    EXPECT_TRUE(window.shotsView()->visibleRegion().isEmpty());
    EXPECT_TRUE(window.raiseView(QStringLiteral("shots")));
    EXPECT_TRUE(waitFor([&] { return !window.shotsView()->visibleRegion().isEmpty(); }));
    EXPECT_FALSE(window.raiseView(QStringLiteral("no_such_view")));
    EXPECT_TRUE(window.viewNames().contains(QStringLiteral("timeline")));
}

TEST_F(MainWindowTest, EverythingThatTakesFocusHasANameForScreenReaders)
{
    MainWindow window(&m_settings);
    openAndWait(window);
    for (const QString& view : window.viewNames()) {
        window.raiseView(view);
        QCoreApplication::processEvents();
    }
    QStringList nameless;
    for (QWidget* widget : window.findChildren<QWidget*>()) {
        // What Qt makes inside its own widgets speaks for the widget around it.
        const bool isInner = widget->objectName().startsWith(QStringLiteral("qt_")) || qobject_cast<QTabBar*>(widget)
            || widget->inherits("QComboBoxListView") || qobject_cast<QAbstractScrollArea*>(widget->parentWidget())
            || qobject_cast<QComboBox*>(widget->parentWidget());
        if (isInner || widget->focusPolicy() == Qt::NoFocus)
            continue;
        const QAccessibleInterface* spoken = QAccessible::queryAccessibleInterface(widget);
        if (spoken && spoken->text(QAccessible::Name).isEmpty() && !qobject_cast<QScrollArea*>(widget))
            nameless << QString::fromUtf8(widget->metaObject()->className()) + QLatin1Char(' ') + widget->objectName();
    }
    EXPECT_TRUE(nameless.isEmpty()) << qPrintable(nameless.join(QLatin1Char('\n')));
}

TEST_F(MainWindowTest, AnEditOfTheShotsIsUndoneByTheKeys)
{
    MainWindow window(&m_settings);
    openAndWait(window);
    const auto shots = [&] { return window.recording()->sample()->layout.shots().size(); };
    const std::size_t before = shots();
    window.session()->setShots({{10, 60}}, QStringLiteral("One Shot"));
    ASSERT_TRUE(waitFor([&] { return window.isReady(); }));
    EXPECT_EQ(shots(), 1U);
    QTest::keyClick(&window, Qt::Key_Z, Qt::ControlModifier);
    EXPECT_EQ(shots(), before);
    QTest::keyClick(&window, Qt::Key_Z, Qt::ControlModifier | Qt::ShiftModifier);
    EXPECT_EQ(shots(), 1U);
    ASSERT_TRUE(waitFor([&] { return window.isReady(); }));
}

TEST_F(MainWindowTest, WritesTheFigureItShows)
{
    MainWindow window(&m_settings);
    openAndWait(window, {.sample = std::nullopt, .layer = 1, .head = 1});
    const FigureSpec spec = window.currentFigure();
    EXPECT_EQ(spec.layer, 1);
    EXPECT_EQ(spec.methods.front(), "streaming_llm") << "the method in front";
    EXPECT_FALSE(spec.keys) << "the whole map is on show";
    QSignalSpy saved(&window, &MainWindow::figureSaved);
    const QString file = temporaryPath(QStringLiteral("f.svg"));
    window.saveFigure(spec, file.toStdString());
    ASSERT_TRUE(waitFor([&] { return saved.count() == 1; }));
    EXPECT_GT(QFileInfo(file).size(), 1000);
    window.saveFigure(spec, "/nonexistent-folder/f.svg");
    ASSERT_TRUE(waitFor([&] { return window.errorBar()->isVisible(); }));
    EXPECT_TRUE(window.errorBar()->message().contains(QStringLiteral("/nonexistent-folder/f.svg")));
}

TEST_F(MainWindowTest, TheExportDialogShowsThePictureAndTheCommand)
{
    MainWindow window(&m_settings);
    openAndWait(window);
    RecordingSource source(path());
    ExportDialog dialog(&source, window.currentFigure(), &m_settings);
    showAndWait(dialog, 900, 560);
    EXPECT_TRUE(waitFor([&] { return dialog.hasPreview(); }));
    EXPECT_TRUE(dialog.command().startsWith(QStringLiteral("kvloupe figure attention ")))
        << qPrintable(dialog.command());
}

TEST_F(MainWindowTest, FindsInThePromptByShortcut)
{
    MainWindow window(&m_settings);
    openAndWait(window);
    QTest::keyClick(&window, Qt::Key_F, Qt::ControlModifier);
    auto* pattern = window.findChild<QLineEdit*>(QStringLiteral("findPattern"));
    EXPECT_TRUE(pattern->isVisible());
    EXPECT_TRUE(pattern->hasFocus());
}

TEST_F(MainWindowTest, TabReachesEveryPanel)
{
    MainWindow window(&m_settings);
    openAndWait(window);
    QSet<const QWidget*> reached;
    for (int step = 0; step < 200; ++step) {
        if (QApplication::focusWidget())
            reached.insert(QApplication::focusWidget());
        QTest::keyClick(QApplication::focusWidget() ? QApplication::focusWidget() : &window, Qt::Key_Tab);
    }
    const auto reaches = [&](const QWidget* panel) {
        return std::any_of(reached.begin(), reached.end(),
            [&](const QWidget* widget) { return widget == panel || panel->isAncestorOf(widget); });
    };
    EXPECT_TRUE(reaches(window.heatMap()));
    EXPECT_TRUE(reaches(window.headWall()));
    EXPECT_TRUE(reaches(window.sampleList()));
    EXPECT_TRUE(reaches(window.methodsPanel()->keepSlider()));
    EXPECT_TRUE(reaches(window.methodsPanel()->specLine()));
    EXPECT_TRUE(reaches(window.tokenPanel()->view()));
    EXPECT_TRUE(reaches(window.findChild<QWidget*>(QStringLiteral("headSpin"))));
}

TEST_F(MainWindowTest, EveryActionHasItsOwnShortcut)
{
    MainWindow window(&m_settings);
    QStringList keys;
    for (const QAction* action : window.findChildren<QAction*>()) {
        if (!action->shortcut().isEmpty())
            keys << action->shortcut().toString();
    }
    EXPECT_GT(keys.size(), 20);
    QStringList unique = keys;
    unique.removeDuplicates();
    EXPECT_EQ(unique.size(), keys.size()) << qPrintable(keys.join(QLatin1Char(' ')));
}

TEST_F(MainWindowTest, WearsADarkTheme)
{
    m_settings.setTheme(Theme::Dark);
    {
        const ThemeSwitch theme(&m_settings);
        MainWindow window(&m_settings);
        openAndWait(window, {.sample = std::nullopt, .layer = 1, .head = 2});
        const QImage text = window.tokenPanel()->view()->viewport()->grab().toImage();
        int brightest = 0;
        for (int x = 0; x < text.width(); ++x)
            brightest = std::max(brightest, qGray(text.pixel(x, 16)));
        EXPECT_LT(qGray(text.pixel(text.width() - 3, text.height() - 3)), 60);
        EXPECT_GT(brightest, 90) << "text stands out from the background";
        const QString pictures = qEnvironmentVariable("KVLOUPE_TEST_PICTURES");
        if (!pictures.isEmpty())
            window.grab().save(pictures + QStringLiteral("/dark.png"));
    }
}

} // namespace
} // namespace kvloupe
