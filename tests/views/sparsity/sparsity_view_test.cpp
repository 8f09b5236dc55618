// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/support/make_recording.h"
#include "tests/views/widget_test.h"
#include "views/chart/chart_view.h"
#include "views/sparsity/sparsity_view.h"

#include <QComboBox>
#include <QFile>
#include <QLabel>
#include <QSignalSpy>
#include <QTest>
#include <QToolButton>

#include <memory>

namespace kvloupe {
namespace {

class SparsityViewTest : public WidgetTest {
protected:
    std::filesystem::path record(const char* name, std::uint64_t seed)
    {
        const std::filesystem::path path = temporaryPath(QString::fromUtf8(name)).toStdString();
        SyntheticRecording options;
        options.layers = 3;
        options.headDim = 16;
        options.promptTokens = 96;
        options.samples = 2;
        options.seed = seed;
        makeRecording(path, options);
        return path;
    }

    void show()
    {
        view = std::make_unique<SparsityView>();
        showAndWait(*view, 1000, 900);
        view->setRecording(record("a.h5", 1));
        view->setSample(0);
        settle();
    }
    void settle()
    {
        ASSERT_TRUE(waitFor([&] { return view->model()->data() != nullptr; }));
        QApplication::processEvents();
    }
    QToolButton* button(const QString& text) const
    {
        for (QToolButton* candidate : view->findChildren<QToolButton*>())
            if (candidate->text() == text)
                return candidate;
        ADD_FAILURE() << "no button " << qPrintable(text);
        return nullptr;
    }

    std::unique_ptr<SparsityView> view;
};

TEST_F(SparsityViewTest, MeasuresTheSampleInViewOrAllOfThem)
{
    show();
    EXPECT_EQ(view->model()->data()->sides[0].samples, 1);
    QTest::mouseClick(button(QStringLiteral("This sample")), Qt::LeftButton);
    EXPECT_EQ(view->model()->data(), nullptr) << "numbers of another request are never on show";
    settle();
    EXPECT_EQ(view->model()->data()->sides[0].samples, 2);
}

TEST_F(SparsityViewTest, WaitsUntilItIsSeenAndUntilTheSampleIsKnown)
{
    view = std::make_unique<SparsityView>();
    view->setRecording(record("a.h5", 1));
    view->setSample(1);
    EXPECT_FALSE(view->model()->isBusy());
    view->setSample(-1);
    showAndWait(*view, 900, 700);
    EXPECT_FALSE(view->model()->isBusy());
    view->setSample(1);
    EXPECT_TRUE(view->model()->isBusy());
    settle();
}

TEST_F(SparsityViewTest, AClickOnACellChoosesTheHeadForAllViews)
{
    show();
    QSignalSpy chosen(view.get(), &SparsityView::headChosen);
    QTest::mouseClick(view->chartView(), Qt::LeftButton, {}, view->chartView()->pixelOf(ChartTarget{0, -1, -1, 2, 3}));
    ASSERT_EQ(chosen.count(), 1);
    EXPECT_EQ(chosen[0][0].toInt(), 2);
    EXPECT_EQ(chosen[0][1].toInt(), 3);
    view->setHead(1, 0);
    EXPECT_EQ(view->chartView()->current(), (ChartTarget{0, -1, -1, 1, 0})) << "the head of other views is marked here";
    EXPECT_EQ(chosen.count(), 1) << "without being chosen again";
    view->chartView()->setFocus();
    QTest::keyClick(view->chartView(), Qt::Key_Down);
    QTest::keyClick(view->chartView(), Qt::Key_Return);
    ASSERT_EQ(chosen.count(), 2);
    EXPECT_EQ(chosen[1][0].toInt(), 2);
}

TEST_F(SparsityViewTest, AnotherMeasureIsShownWithItsFormula)
{
    show();
    auto* measure = view->findChild<QComboBox*>(QStringLiteral("sparsityMeasure"));
    measure->setFocus();
    QTest::keyClick(measure, Qt::Key_Down);
    QTest::keyClick(measure, Qt::Key_Down);
    EXPECT_EQ(view->chartView()->chart().panels[0].matrix->valueName, QStringLiteral("Gini index"));
    EXPECT_TRUE(measure->toolTip().contains(QStringLiteral("sum((2 i - n - 1) p_i) / (n sum p)")));
    EXPECT_FALSE(measure->accessibleName().isEmpty());
}

TEST_F(SparsityViewTest, ComparesWithASecondRecordingAndStopsDoingSo)
{
    show();
    const std::size_t alone = view->chartView()->chart().panels.size();
    view->setSecond(record("b.h5", 2));
    settle();
    EXPECT_GT(view->chartView()->chart().panels.size(), alone);
    EXPECT_EQ(view->model()->data()->pairs, 1) << "the sample in view and its partner";
    QTest::mouseClick(button(QStringLiteral("Do not compare")), Qt::LeftButton);
    settle();
    EXPECT_EQ(view->chartView()->chart().panels.size(), alone);
}

TEST_F(SparsityViewTest, SaysWhatIsWrongAndStaysUp)
{
    show();
    view->setSecond("/nowhere/at/all.h5");
    auto* problem = view->findChild<QLabel*>(QStringLiteral("sparsityProblem"));
    ASSERT_TRUE(waitFor([&] { return problem->isVisible(); }));
    EXPECT_TRUE(problem->text().contains(QStringLiteral("/nowhere/at/all.h5")));
    view->setSecond({});
    settle();
    EXPECT_FALSE(problem->isVisible());
}

TEST_F(SparsityViewTest, SavesItsFigureAndTellsTheCommand)
{
    show();
    QSignalSpy saved(view.get(), &SparsityView::figureSaved);
    const QString path = temporaryPath(QStringLiteral("f.csv"));
    view->saveFigure(path.toStdString());
    ASSERT_TRUE(waitFor([&] { return saved.count() == 1; }));
    QFile file(path);
    ASSERT_TRUE(file.open(QIODevice::ReadOnly));
    EXPECT_EQ(file.readAll(), chartCsv(view->chartView()->chart()));
    EXPECT_TRUE(view->commandLine().startsWith(QStringLiteral("kvloupe figure sparsity ")));
    EXPECT_TRUE(view->commandLine().contains(QStringLiteral("--sample 0")));
}

} // namespace
} // namespace kvloupe
