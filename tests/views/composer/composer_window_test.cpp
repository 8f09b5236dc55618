// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/support/make_recording.h"
#include "tests/views/results/written_results.h"
#include "tests/views/widget_test.h"
#include "views/chart/chart_view.h"
#include "views/composer/composer_desk.h"
#include "views/composer/page_figure.h"
#include "views/composer/page_preview.h"
#include "views/figure/attention_panel.h"
#include "views/figure/figure_spec.h"
#include "views/heatmap/heat_map_view.h"
#include "views/results/results_view.h"
#include "views/session/main_window.h"

#include <QAction>
#include <QApplication>
#include <QCheckBox>
#include <QClipboard>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFile>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPushButton>
#include <QSpinBox>
#include <QTableView>
#include <QTest>
#include <QToolButton>

namespace kvloupe {
namespace {

class ComposerWindowTest : public WidgetTest {
protected:
    ComposerWindowTest()
        : m_settings(&settings())
    {
        makeRecording(place("a.h5"), {.layers = 2, .heads = 4, .kvHeads = 2, .headDim = 16, .promptTokens = 120});
    }

    std::filesystem::path place(const char* name) const { return temporaryPath(QString::fromUtf8(name)).toStdString(); }

    FigureOffer offer(int layer) const
    {
        FigureSpec spec;
        spec.recording = place("a.h5");
        spec.layer = layer;
        return {
            QStringLiteral("layer %1").arg(layer), nullptr, [spec] { return std::make_shared<AttentionPanel>(spec); }};
    }

    static QByteArray bytesOf(const std::filesystem::path& path)
    {
        QFile file(QString::fromStdString(path.string()));
        EXPECT_TRUE(file.open(QIODevice::ReadOnly)) << path;
        return file.readAll();
    }

    Settings m_settings;
};

TEST_F(ComposerWindowTest, ShowsThePageAsItWillBeWrittenAndWritesTheBytesOfTheCommand)
{
    ComposerWindow window(&m_settings);
    window.add(offer(0));
    window.add(offer(1));
    showAndWait(window, 1100, 700);
    ASSERT_TRUE(waitFor([&] { return window.isSettled(); }));
    EXPECT_TRUE(window.preview()->hasPicture()) << qPrintable(window.problem());
    QString saved;
    QObject::connect(&window, &ComposerWindow::figureSaved, &window, [&saved](const QString& path) { saved = path; });
    for (const char* name : {"w.pdf", "w.svg", "w.png", "w.csv"}) {
        saved.clear();
        window.exportPage(place(name));
        ASSERT_TRUE(waitFor([&] { return !saved.isEmpty(); })) << qPrintable(window.problem());
    }
    window.savePage(place("page.json"));
    EXPECT_EQ(window.commandLine(),
        QString::fromStdString(
            "kvloupe figure " + place("page.json").string() + " --out " + place("page.pdf").string()));
    // What the command does with the file.
    writePageFigure(pageFromJson(bytesOf(place("page.json")).toStdString(), place("page.json")),
        {place("c.pdf"), place("c.svg"), place("c.png"), place("c.csv")});
    for (const char* suffix : {".pdf", ".svg", ".png", ".csv"})
        EXPECT_EQ(
            bytesOf(place((std::string("w") + suffix).c_str())), bytesOf(place((std::string("c") + suffix).c_str())))
            << suffix;
}

TEST_F(ComposerWindowTest, KeysReorderRemoveAndUndo)
{
    ComposerWindow window(&m_settings);
    window.add(offer(0));
    window.add(offer(1));
    showAndWait(window, 1100, 700);
    const QString before = window.model()->text();
    window.table()->setFocus();
    window.table()->setCurrentIndex(window.model()->index(1, ComposerModel::FigureColumn));
    QTest::keyClick(window.table(), Qt::Key_Up, Qt::AltModifier);
    EXPECT_TRUE(window.model()->text().contains(QStringLiteral("(a) | attention, layer 1")));
    EXPECT_EQ(window.table()->currentIndex().row(), 0) << "the selection goes with the panel";
    QTest::keyClick(window.table(), Qt::Key_Delete);
    EXPECT_EQ(window.model()->rowCount(), 1);
    QTest::keyClick(window.table(), Qt::Key_Z, Qt::ControlModifier);
    QTest::keyClick(window.table(), Qt::Key_Z, Qt::ControlModifier);
    EXPECT_EQ(window.model()->text(), before);
    QTest::keyClick(window.table(), Qt::Key_Z, Qt::ControlModifier | Qt::ShiftModifier);
    EXPECT_NE(window.model()->text(), before);
    ASSERT_TRUE(waitFor([&] { return window.isSettled(); }));
}

TEST_F(ComposerWindowTest, TitlesAreTypedIntoTheList)
{
    ComposerWindow window(&m_settings);
    window.add(offer(0));
    showAndWait(window, 1100, 700);
    window.table()->setFocus();
    window.table()->setCurrentIndex(window.model()->index(0, ComposerModel::TitleColumn));
    QTest::keyClick(window.table(), Qt::Key_F2);
    auto* editor = window.table()->findChild<QLineEdit*>();
    ASSERT_NE(editor, nullptr);
    QTest::keyClicks(editor, QStringLiteral("instruct"));
    QTest::keyClick(editor, Qt::Key_Return);
    ASSERT_TRUE(waitFor([&] { return window.model()->page().panels[0].title == "instruct"; }));
    ASSERT_TRUE(waitFor([&] { return window.isSettled(); }));
    EXPECT_TRUE(window.preview()->hasPicture());
}

TEST_F(ComposerWindowTest, TheFormChangesThePageAndFollowsUndo)
{
    ComposerWindow window(&m_settings);
    window.add(offer(0));
    showAndWait(window, 1100, 700);
    auto* preset = window.findChild<QComboBox*>(QStringLiteral("composerPreset"));
    preset->setFocus();
    QTest::keyClick(preset, Qt::Key_Home);
    emit preset->activated(preset->currentIndex());
    EXPECT_EQ(window.model()->page().widthMm, 84.0);
    auto* columns = window.findChild<QSpinBox*>(QStringLiteral("composerColumns"));
    QTest::keyClick(columns, Qt::Key_Down);
    EXPECT_EQ(window.model()->page().columns, 1);
    auto* letters = window.findChild<QCheckBox*>(QStringLiteral("composerLetters"));
    QTest::mouseClick(letters, Qt::LeftButton, {}, QPoint(8, letters->height() / 2));
    EXPECT_FALSE(window.model()->page().letters);
    window.model()->undoStack()->undo();
    EXPECT_TRUE(letters->isChecked());
    window.model()->undoStack()->undo();
    window.model()->undoStack()->undo();
    EXPECT_EQ(window.model()->page().widthMm, 174.0);
    EXPECT_EQ(window.findChild<QDoubleSpinBox*>(QStringLiteral("composerWidth"))->value(), 174.0);
    EXPECT_EQ(preset->currentData().toDouble(), 174.0);
    ASSERT_TRUE(waitFor([&] { return window.isSettled(); }));
}

TEST_F(ComposerWindowTest, SaysWhatIsWrongAndStaysUp)
{
    ComposerWindow window(&m_settings);
    showAndWait(window, 1100, 700);
    EXPECT_FALSE(window.preview()->hasPicture());
    window.add({QStringLiteral("Results"), nullptr, [] { return nullptr; }});
    EXPECT_TRUE(window.problem().contains(QStringLiteral("Results shows nothing")));
    window.add(offer(7));
    ASSERT_TRUE(waitFor([&] { return window.isSettled(); }));
    EXPECT_TRUE(window.problem().contains(QStringLiteral("panels[0]: "))
        && window.problem().contains(QStringLiteral("layer 7")))
        << qPrintable(window.problem());
    window.model()->undoStack()->undo();
    window.add(offer(1));
    ASSERT_TRUE(waitFor([&] { return window.isSettled(); }));
    EXPECT_EQ(window.problem(), QString());
    window.exportPage("/nonexistent-folder/f.pdf");
    ASSERT_TRUE(waitFor([&] { return window.problem().contains(QStringLiteral("cannot be written")); }));
    window.openPage("/nonexistent-folder/page.json");
    EXPECT_TRUE(window.problem().contains(QStringLiteral("cannot be opened")));
    EXPECT_EQ(window.model()->rowCount(), 1);
}

TEST_F(ComposerWindowTest, ThePageIsRemembered)
{
    {
        ComposerWindow window(&m_settings);
        window.add(offer(1));
        window.model()->setData(window.model()->index(0, ComposerModel::TitleColumn), QStringLiteral("kept"));
    }
    Settings again(&settings());
    ComposerWindow window(&again);
    EXPECT_TRUE(window.model()->text().contains(QStringLiteral("| kept |"))) << qPrintable(window.model()->text());
    settings().setValue(QStringLiteral("figure/page"), QStringLiteral("{\"figure\": \"page\", \"panels\": 7}"));
    Settings damaged(&settings());
    ComposerWindow empty(&damaged);
    EXPECT_EQ(empty.model()->rowCount(), 0);
}

TEST_F(ComposerWindowTest, EveryControlHasANameForAScreenReader)
{
    ComposerWindow window(&m_settings);
    for (QWidget* widget : window.findChildren<QWidget*>()) {
        const bool isControl = qobject_cast<QAbstractSpinBox*>(widget) || qobject_cast<QComboBox*>(widget)
            || qobject_cast<QTableView*>(widget)
            || (qobject_cast<QLineEdit*>(widget) && !qobject_cast<QAbstractSpinBox*>(widget->parentWidget()));
        if (!isControl || widget->objectName() == QStringLiteral("qt_spinbox_lineedit"))
            continue;
        bool isNamed = !widget->accessibleName().isEmpty();
        for (const QLabel* label : window.findChildren<QLabel*>())
            isNamed |= label->buddy() == widget;
        EXPECT_TRUE(isNamed) << qPrintable(widget->objectName()) << " " << widget->metaObject()->className();
    }
}

TEST_F(ComposerWindowTest, TheMainWindowAddsTheViewInUse)
{
    writeResults(place("r.jsonl"), 4);
    MainWindow window(&m_settings);
    window.open(place("a.h5"), {.sample = std::nullopt, .layer = 1, .head = 3});
    window.open(place("r.jsonl"));
    showAndWait(window, 1300, 850);
    ASSERT_TRUE(waitFor([&] { return window.isReady(); }));
    QTest::keyClick(&window, Qt::Key_E, Qt::ControlModifier | Qt::ShiftModifier);
    ComposerWindow* composer = window.composerDesk()->composer();
    EXPECT_EQ(composer->model()->rowCount(), 1);
    EXPECT_TRUE(composer->model()->text().contains(QStringLiteral("attention, layer 1, head 3 of a.h5")));
    QApplication::setActiveWindow(&window);
    // The composer stays open while another head is chosen and added.
    window.selection()->setHead(0, 2);
    window.heatMap()->setFocus();
    QTest::keyClick(&window, Qt::Key_E, Qt::ControlModifier | Qt::ShiftModifier);
    EXPECT_EQ(composer->model()->rowCount(), 2);
    EXPECT_TRUE(composer->model()->text().contains(QStringLiteral("layer 0, head 2")));
    EXPECT_TRUE(composer->isVisible());
    ASSERT_TRUE(waitFor([&] { return composer->isSettled(); }));
    EXPECT_TRUE(composer->preview()->hasPicture()) << qPrintable(composer->problem());
}

TEST_F(ComposerWindowTest, TheViewWithTheFocusIsTheOneThatIsAdded)
{
    writeResults(place("r.jsonl"), 4);
    MainWindow window(&m_settings);
    window.open(place("a.h5"));
    window.open(place("r.jsonl"));
    showAndWait(window, 1300, 850);
    ASSERT_TRUE(waitFor([&] { return window.isReady(); }));
    window.resultsView()->chartView()->setFocus();
    QTest::keyClick(window.resultsView()->chartView(), Qt::Key_E, Qt::ControlModifier | Qt::ShiftModifier);
    ComposerWindow* composer = window.composerDesk()->composer();
    EXPECT_TRUE(composer->model()->text().contains(QStringLiteral("accuracy of r.jsonl")))
        << qPrintable(composer->model()->text());
    ASSERT_TRUE(waitFor([&] { return composer->isSettled(); }));
}

TEST_F(ComposerWindowTest, EveryViewOffersItsFigure)
{
    MainWindow window(&m_settings);
    window.open(place("a.h5"), {.sample = std::nullopt, .layer = 1, .head = 3});
    showAndWait(window, 1300, 850);
    ASSERT_TRUE(waitFor([&] { return window.isReady(); }));
    ComposerWindow* composer = window.composerDesk()->composer();
    composer->show();
    auto* add = composer->findChild<QToolButton*>(QStringLiteral("composerAdd"));
    add->menu()->popup(composer->mapToGlobal(QPoint(10, 30)));
    ASSERT_TRUE(waitFor([&] { return add->menu()->isVisible(); }));
    const QList<QAction*> actions = add->menu()->actions();
    QStringList names;
    for (const QAction* action : actions)
        names << action->text();
    EXPECT_EQ(names.join(QLatin1Char(' ')),
        QStringLiteral("Attention map Results Sparsity Heads Text Timeline Shots Overlap"));
    add->menu()->hide();
    const auto choose = [&](const char* name) { actions[names.indexOf(QString::fromUtf8(name))]->trigger(); };
    for (const char* name : {"Heads", "Text", "Timeline", "Shots", "Overlap"})
        choose(name);
    EXPECT_EQ(composer->model()->rowCount(), 5);
    EXPECT_TRUE(composer->model()->text().contains(QStringLiteral("timeline, layer 1, head 3 of a.h5")))
        << qPrintable(composer->model()->text());
    ASSERT_TRUE(waitFor([&] { return composer->isSettled(); }));
    EXPECT_TRUE(composer->preview()->hasPicture()) << qPrintable(composer->problem());
    choose("Results");
    EXPECT_TRUE(composer->problem().contains(QStringLiteral("Results shows nothing")));
}

} // namespace
} // namespace kvloupe
