// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/widget_test.h"
#include "views/methods/method_model.h"

#include <QAbstractItemModelTester>
#include <QSet>
#include <QSignalSpy>

namespace kvloupe {
namespace {

class MethodModelTest : public WidgetTest {
protected:
    Selection m_selection;
    MethodModel m_model{&m_selection};
    QAbstractItemModelTester m_tester{&m_model, QAbstractItemModelTester::FailureReportingMode::Warning};
};

TEST_F(MethodModelTest, StartsWithTheMethodsOfTheRegistry)
{
    m_model.fromSpecs(MethodModel::defaultSpecs());
    ASSERT_EQ(m_model.rowCount(), 5);
    QStringList titles;
    QStringList shown;
    for (const MethodModel::Entry& entry : m_model.entries()) {
        titles << QString::fromStdString(entry.method.name);
        if (entry.shown)
            shown << titles.back();
    }
    titles.sort();
    shown.sort();
    EXPECT_EQ(titles,
        QStringList({QStringLiteral("full"), QStringLiteral("h2o"), QStringLiteral("random"), QStringLiteral("snapkv"),
            QStringLiteral("streaming_llm")}));
    EXPECT_EQ(shown, QStringList({QStringLiteral("h2o"), QStringLiteral("snapkv"), QStringLiteral("streaming_llm")}));
    ASSERT_GE(m_model.current(), 0);
    EXPECT_TRUE(m_model.entries()[static_cast<std::size_t>(m_model.current())].shown);
}

TEST_F(MethodModelTest, SaysWhatIsWrongWithASpec)
{
    const QString problem = m_model.add(QStringLiteral("snapkw"));
    EXPECT_TRUE(problem.contains(QStringLiteral("snapkv"))) << "the nearest name is offered: " << qPrintable(problem);
    EXPECT_TRUE(m_model.add(QStringLiteral("snapkv:window=-3")).contains(QStringLiteral("window")));
    EXPECT_EQ(m_model.rowCount(), 0);
}

TEST_F(MethodModelTest, TakesAMethodTwiceOnlyWithOtherParameters)
{
    EXPECT_EQ(m_model.add(QStringLiteral("snapkv")), QString());
    EXPECT_NE(m_model.add(QStringLiteral("snapkv:window=32")), QString()) << "32 is the default";
    EXPECT_EQ(m_model.add(QStringLiteral("snapkv:window=16")), QString());
    EXPECT_EQ(m_model.rowCount(), 2);
    EXPECT_NE(m_model.entries()[0].color, m_model.entries()[1].color);
    EXPECT_EQ(m_model.data(m_model.index(1, MethodModel::ParametersColumn)).toString(), QStringLiteral("window=16"));
}

TEST_F(MethodModelTest, NamesakesHaveTitlesOfTheirOwn)
{
    const auto titles = [this] {
        QStringList all;
        for (const MethodModel::Entry& entry : m_model.entries())
            all << entry.title;
        return all;
    };
    m_model.add(QStringLiteral("snapkv"));
    m_model.add(QStringLiteral("h2o"));
    EXPECT_EQ(titles(), QStringList({QStringLiteral("SnapKV"), QStringLiteral("H2O")}));
    m_model.add(QStringLiteral("snapkv:window=16"));
    EXPECT_EQ(titles(),
        QStringList(
            {QStringLiteral("SnapKV (defaults)"), QStringLiteral("H2O"), QStringLiteral("SnapKV (window=16)")}));
    m_model.setSpec(2, QStringLiteral("snapkv:window=8"));
    EXPECT_EQ(titles().back(), QStringLiteral("SnapKV (window=8)"));
    m_model.remove(0);
    EXPECT_EQ(titles(), QStringList({QStringLiteral("H2O"), QStringLiteral("SnapKV")}));
}

TEST_F(MethodModelTest, GivesDifferentColoursToTheFirstEight)
{
    QSet<QRgb> colors;
    for (int window = 1; window <= 8; ++window) {
        ASSERT_EQ(m_model.add(QStringLiteral("snapkv:window=%1").arg(window)), QString());
        colors.insert(m_model.entries().back().color.rgb());
    }
    EXPECT_EQ(colors.size(), 8);
}

TEST_F(MethodModelTest, RemembersMethodsAsText)
{
    m_model.fromSpecs({QStringLiteral("snapkv:window=16"), QStringLiteral("-h2o"), QStringLiteral("no_such_method")});
    EXPECT_EQ(m_model.toSpecs(), QStringList({QStringLiteral("snapkv:window=16"), QStringLiteral("-h2o")}));
}

TEST_F(MethodModelTest, KeepsAShownMethodInFront)
{
    m_model.fromSpecs({QStringLiteral("snapkv"), QStringLiteral("h2o"), QStringLiteral("-random")});
    m_model.setCurrent(0);
    QSignalSpy changed(&m_model, &MethodModel::currentChanged);
    EXPECT_TRUE(m_model.setData(m_model.index(0, 0), Qt::Unchecked, Qt::CheckStateRole));
    EXPECT_EQ(m_model.current(), 1);
    EXPECT_EQ(changed.count(), 1);
    m_model.remove(1);
    EXPECT_EQ(m_model.rowCount(), 2);
    EXPECT_LT(m_model.current(), 2);
}

TEST_F(MethodModelTest, TheMethodInFrontIsThatOfTheSelection)
{
    m_model.fromSpecs({QStringLiteral("snapkv"), QStringLiteral("h2o"), QStringLiteral("-random")});
    QSignalSpy changed(&m_model, &MethodModel::currentChanged);
    m_selection.setMethod("h2o");
    EXPECT_EQ(m_model.current(), 1);
    EXPECT_EQ(changed.count(), 1);
    m_model.remove(0);
    EXPECT_EQ(m_selection.method(), "h2o") << "it stays in front when the list moves up";
    EXPECT_EQ(m_model.current(), 0);
    m_selection.setMethod("unknown");
    EXPECT_EQ(m_model.current(), -1);
}

TEST_F(MethodModelTest, ChangesParametersInPlace)
{
    m_model.fromSpecs({QStringLiteral("h2o"), QStringLiteral("-snapkv"), QStringLiteral("snapkv:window=16")});
    m_model.setCurrent(2);
    const QColor color = m_model.entries()[2].color;
    EXPECT_EQ(m_model.setSpec(2, QStringLiteral("snapkv:window=64")), QString());
    EXPECT_EQ(m_model.entries()[2].parameters, QStringLiteral("window=64"));
    EXPECT_EQ(m_model.entries()[2].color, color);
    EXPECT_EQ(m_selection.method(), "snapkv:window=64") << "it stays in front";
    EXPECT_NE(m_model.setSpec(2, QStringLiteral("snapkv")), QString()) << "the row above is just this method";
    EXPECT_TRUE(m_model.setSpec(2, QStringLiteral("snapkv:window=-1")).contains(QStringLiteral("window")));
    EXPECT_EQ(m_model.entries()[2].parameters, QStringLiteral("window=64")) << "what is wrong changes nothing";
    EXPECT_EQ(m_model.setSpec(1, QStringLiteral("snapkv:kernel=5")), QString());
    EXPECT_FALSE(m_model.entries()[1].shown) << "a hidden method stays hidden";
}

} // namespace
} // namespace kvloupe
