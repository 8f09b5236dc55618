// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/results/written_results.h"
#include "tests/views/widget_test.h"
#include "views/chart/chart_view.h"
#include "views/results/results_view.h"

#include <QAction>
#include <QClipboard>
#include <QComboBox>
#include <QDragEnterEvent>
#include <QDropEvent>
#include <QLabel>
#include <QMimeData>
#include <QPlainTextEdit>
#include <QSignalSpy>
#include <QTableView>
#include <QTest>
#include <QToolBar>
#include <QToolButton>
#include <QUrl>

#include <gmock/gmock.h>

#include <memory>
#include <vector>

namespace kvloupe {
namespace {

using testing::HasSubstr;

class ResultsViewTest : public WidgetTest {
protected:
    std::filesystem::path place(const char* name) const { return temporaryPath(QString::fromUtf8(name)).toStdString(); }

    /// A view of ten samples of one task.
    void show()
    {
        view = std::make_unique<ResultsView>();
        QObject::connect(view.get(), &ResultsView::sampleChosen, view.get(),
            [this](const ChosenSample& sample) { chosen.push_back(sample); });
        showAndWait(*view, 1100, 900);
        writeResults(place("r.jsonl"), 10);
        view->addFiles({place("r.jsonl")});
        settle();
    }
    void settle()
    {
        ASSERT_TRUE(waitFor([&] { return !view->model()->isBusy(); }));
        QApplication::processEvents();
    }

    template <typename Widget> Widget* find(const char* name) const
    {
        auto* widget = view->findChild<Widget*>(QString::fromUtf8(name));
        EXPECT_NE(widget, nullptr) << name;
        return widget;
    }
    void press(const QString& text) const
    {
        for (QToolButton* button : view->findChildren<QToolButton*>())
            if (button->text() == text) {
                QTest::mouseClick(button, Qt::LeftButton);
                return;
            }
        ADD_FAILURE() << "no button " << qPrintable(text);
    }

    /// SnapKV at 10 % of "ar".
    static constexpr ChartTarget snapkvAtTen{0, 1, 0, -1, -1};

    void clickPoint(const ChartTarget& target) const
    {
        QTest::mouseClick(view->chartView(), Qt::LeftButton, {}, view->chartView()->pixelOf(target));
        QApplication::processEvents();
    }
    QPoint middleOfRow(int row) const
    {
        return view->table()->visualRect(view->table()->model()->index(row, 0)).center();
    }

    std::unique_ptr<ResultsView> view;
    std::vector<ChosenSample> chosen;
};

TEST_F(ResultsViewTest, AClickOnAPointListsItsSamplesAndAClickOnASampleTellsWhich)
{
    show();
    clickPoint(snapkvAtTen);
    ASSERT_TRUE(view->table()->isVisible());
    EXPECT_EQ(view->table()->model()->rowCount(), 10);
    EXPECT_EQ(find<QLabel>("resultsPoint")->text(), QStringLiteral("ar: SnapKV"));
    EXPECT_TRUE(chosen.empty());
    QTest::mouseClick(view->table()->viewport(), Qt::LeftButton, {}, middleOfRow(4));
    ASSERT_EQ(chosen.size(), 1U);
    EXPECT_EQ(chosen[0].key.task, "ar");
    EXPECT_EQ(chosen[0].key.sample, "ar-4");
    EXPECT_EQ(chosen[0].prompt.sha256, std::string(63, '0') + "4");
    EXPECT_EQ(chosen[0].method, "snapkv:window=8");
    EXPECT_EQ(chosen[0].keep, 0.1);
    EXPECT_THAT(
        view->findChild<QPlainTextEdit*>()->toPlainText().toStdString(), HasSubstr("expected: The answer is 42."));
}

TEST_F(ResultsViewTest, EverythingCanBeDoneWithKeys)
{
    show();
    view->chartView()->setFocus();
    QTest::keyClick(view->chartView(), Qt::Key_Right);
    QTest::keyClick(view->chartView(), Qt::Key_Down);
    QTest::keyClick(view->chartView(), Qt::Key_End);
    QTest::keyClick(view->chartView(), Qt::Key_Return);
    ASSERT_TRUE(view->table()->isVisible());
    EXPECT_EQ(find<QLabel>("resultsPoint")->text(), QStringLiteral("ar: SnapKV"));
    view->table()->setFocus();
    QTest::keyClick(view->table(), Qt::Key_Down);
    QTest::keyClick(view->table(), Qt::Key_Down);
    QTest::keyClick(view->table(), Qt::Key_Return);
    ASSERT_EQ(chosen.size(), 1U);
    EXPECT_EQ(chosen[0].keep, 0.1);
}

TEST_F(ResultsViewTest, ListsLostSamplesAlone)
{
    show();
    clickPoint(snapkvAtTen);
    auto* filter = find<QComboBox>("resultsFilter");
    EXPECT_EQ(filter->itemText(2), QStringLiteral("Lost against the full cache (4)"));
    filter->setFocus();
    QTest::keyClick(filter, Qt::Key_Down);
    QTest::keyClick(filter, Qt::Key_Down);
    EXPECT_EQ(view->table()->model()->rowCount(), 4);
}

TEST_F(ResultsViewTest, ShowsOtherMeasuresAndBudgetsAndKeepsThePoint)
{
    show();
    clickPoint(snapkvAtTen);
    auto* measure = find<QComboBox>("resultsMeasure");
    measure->setFocus();
    QTest::keyClick(measure, Qt::Key_Down);
    EXPECT_EQ(view->model()->spec().measure, ResultMeasure::RelativeDrop);
    EXPECT_TRUE(measure->toolTip().contains(QStringLiteral("(P - P_full) / P_full"))) << "the formula is explained";
    ASSERT_TRUE(view->chartView()->current());
    EXPECT_EQ(*view->chartView()->current(), (ChartTarget{0, 0, 0, -1, -1})) << "there is no line of the full cache";
    EXPECT_EQ(view->table()->model()->rowCount(), 10);
    auto* axis = find<QComboBox>("resultsAxis");
    axis->setFocus();
    QTest::keyClick(axis, Qt::Key_End);
    EXPECT_EQ(view->chartView()->chart().panels[0].x.label, QStringLiteral("tokens per head asked for"));
    EXPECT_EQ(view->chartView()->current(), (ChartTarget{0, 0, 0, -1, -1})) << "10 % are 10 tokens here";
    auto* lines = find<QComboBox>("resultsLines");
    lines->setFocus();
    QTest::keyClick(lines, Qt::Key_End);
    EXPECT_FALSE(view->chartView()->current()) << "a mean over methods is another point";
    EXPECT_FALSE(view->table()->isVisible());
    QApplication::processEvents();
    clickPoint({0, 0, 0, -1, -1});
    EXPECT_EQ(view->table()->model()->rowCount(), 20) << "ten samples of two methods";
    EXPECT_FALSE(view->table()->isColumnHidden(ResultSamples::MethodColumn));
}

TEST_F(ResultsViewTest, PutsThePaperBesideOursOnDemand)
{
    show();
    EXPECT_EQ(view->chartView()->chart().panels.size(), 1U);
    press(QStringLiteral("Paper"));
    ASSERT_EQ(view->chartView()->chart().panels.size(), 2U);
    QApplication::processEvents();
    clickPoint({1, 1, 0, -1, -1});
    EXPECT_EQ(view->table()->model()->rowCount(), 0) << "no samples stand behind a published number";
}

TEST_F(ResultsViewTest, GrowsWithItsFileAndStaysAtItsPointAndSample)
{
    show();
    clickPoint(snapkvAtTen);
    QTest::mouseClick(view->table()->viewport(), Qt::LeftButton, {}, middleOfRow(4));
    writeResults(place("r.jsonl"), 5, madeHeader(), 10);
    view->model()->checkFiles();
    settle();
    EXPECT_EQ(view->table()->model()->rowCount(), 15);
    EXPECT_EQ(view->table()->currentIndex().data().toString(), QStringLiteral("ar-4"));
    EXPECT_EQ(view->chartView()->current(), snapkvAtTen);
    EXPECT_EQ(chosen.size(), 1U) << "growth chooses nothing";
}

TEST_F(ResultsViewTest, TakesResultsFilesThatAreDroppedAndNoOthers)
{
    view = std::make_unique<ResultsView>();
    showAndWait(*view, 800, 600);
    writeResults(place("r.jsonl"), 3);
    const auto drop = [&](const char* name) {
        QMimeData data;
        data.setUrls({QUrl::fromLocalFile(temporaryPath(QString::fromUtf8(name)))});
        QDragEnterEvent enter(QPoint(20, 200), Qt::CopyAction, &data, Qt::LeftButton, {});
        QApplication::sendEvent(view.get(), &enter);
        if (!enter.isAccepted())
            return false;
        QDropEvent event(QPointF(20, 200), Qt::CopyAction, &data, Qt::LeftButton, {});
        QApplication::sendEvent(view.get(), &event);
        return event.isAccepted();
    };
    EXPECT_FALSE(drop("r.h5"));
    EXPECT_TRUE(drop("r.jsonl"));
    settle();
    EXPECT_EQ(view->chartView()->chart().panels.size(), 1U);
}

TEST_F(ResultsViewTest, SaysInPlainWordsWhatIsWrongWithAFile)
{
    show();
    EXPECT_FALSE(find<QLabel>("resultsRemarks")->isVisible());
    view->addFiles({place("gone.jsonl")});
    settle();
    auto* remarks = find<QLabel>("resultsRemarks");
    EXPECT_TRUE(remarks->isVisible());
    EXPECT_THAT(remarks->text().toStdString(), HasSubstr("gone.jsonl: cannot be opened: No such file or directory"));
    EXPECT_EQ(view->chartView()->chart().panels.size(), 1U) << "what can be shown stays";
}

TEST_F(ResultsViewTest, SavesItsFigureAndTellsTheCommand)
{
    show();
    QSignalSpy saved(view.get(), &ResultsView::figureSaved);
    QSignalSpy problem(view.get(), &ResultsView::problem);
    const std::filesystem::path path = place("f.csv");
    view->saveFigure(path);
    ASSERT_TRUE(waitFor([&] { return saved.count() == 1; }));
    std::ifstream file(path);
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    EXPECT_EQ(text, chartCsv(view->chartView()->chart()).toStdString()) << "exactly what is shown";
    view->saveFigure("/nowhere/at/all.pdf");
    ASSERT_TRUE(waitFor([&] { return problem.count() == 1; }));
    press(QStringLiteral("Copy command"));
    EXPECT_TRUE(QGuiApplication::clipboard()->text().startsWith(QStringLiteral("kvloupe figure accuracy ")));
}

TEST_F(ResultsViewTest, EveryControlHasAnAccessibleName)
{
    show();
    clickPoint(snapkvAtTen);
    for (const QWidget* widget : view->findChildren<QWidget*>()) {
        const bool isControl = qobject_cast<const QComboBox*>(widget) != nullptr
            || qobject_cast<const QTableView*>(widget) != nullptr
            || qobject_cast<const QPlainTextEdit*>(widget) != nullptr
            || qobject_cast<const ChartView*>(widget) != nullptr;
        if (isControl) {
            EXPECT_FALSE(widget->accessibleName().isEmpty()) << widget->metaObject()->className();
        }
    }
}

} // namespace
} // namespace kvloupe
