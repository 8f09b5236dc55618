// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/window_models.h"
#include "views/methods/overlap_view.h"

#include <QAbstractItemModelTester>
#include <QComboBox>
#include <QTableView>
#include <QTest>

namespace kvloupe {
namespace {

KeptOfMethod kept(std::vector<KeepSet> layers)
{
    return std::make_shared<const std::vector<KeepSet>>(std::move(layers));
}

TEST(OverlapMatrix, IsTheMeanOfJaccardOverHeads)
{
    const KeptOfMethod a = kept({{Granularity::KvHead, {{0, 1}, {2, 3}}}});
    const KeptOfMethod b = kept({{Granularity::KvHead, {{1, 2}, {2, 3}}}});
    const std::vector<double> matrix = overlapMatrix({a, b, nullptr}, 4);
    EXPECT_DOUBLE_EQ(matrix[0], 1.0);
    EXPECT_DOUBLE_EQ(matrix[1], (1.0 / 3.0 + 1.0) / 2.0);
    EXPECT_DOUBLE_EQ(matrix[3], matrix[1]);
    EXPECT_TRUE(std::isnan(matrix[2]));
    EXPECT_TRUE(std::isnan(matrix[8]));
}

TEST(OverlapMatrix, ComparesAQueryHeadWithItsKvHead)
{
    const KeptOfMethod queryHeads = kept({{Granularity::QueryHead, {{0}, {1}, {2}, {3}}}});
    const KeptOfMethod kvHeads = kept({{Granularity::KvHead, {{0, 1}, {2}}}});
    EXPECT_DOUBLE_EQ(overlapMatrix({queryHeads, kvHeads}, 4)[1], (0.5 + 0.5 + 1.0 + 0.0) / 4.0);
}

TEST(OracleOverlap, IsTheMeanOverSetsOfWhatTheFutureLooksAt)
{
    // Two query heads on one KV head; the last three of five prompt tokens are in the cache.
    FutureAttention::Layer later;
    later.queryHeads = 2;
    later.cache = {2, 5};
    later.received = {0.1F, 0.5F, 0.2F, 0.1F, 0.0F, 0.9F};
    const FutureAttention::Layers future{std::make_shared<const FutureAttention::Layer>(later), nullptr};
    const KeepSet whole{Granularity::KvHead, {{3, 4}}};
    const KeepSet one{Granularity::KvHead, {{3}}};
    const KeepSet other{Granularity::QueryHead, {{2}, {4}}};
    EXPECT_DOUBLE_EQ(oracleOverlap(std::vector{whole}, future, 5), 1.0) << "4 has 1.1, 3 has 0.5, 2 has 0.2";
    EXPECT_DOUBLE_EQ(oracleOverlap(std::vector{one}, future, 5), 0.0) << "the oracle keeps 4";
    EXPECT_DOUBLE_EQ(oracleOverlap(std::vector{other}, future, 5), 0.5) << "3 for the first head, 4 for the second";
    EXPECT_DOUBLE_EQ(oracleOverlap(std::vector{other}, future, 5, 1), 1.0);
    EXPECT_DOUBLE_EQ(oracleOverlap(std::vector{one, whole}, future, 5), 0.0) << "nothing is known of the second layer";
    EXPECT_TRUE(std::isnan(oracleOverlap(std::vector{one}, {}, 5)));
}

class OverlapViewTest : public WindowModelsTest {
protected:
    OverlapViewTest()
    {
        m_methods.fromSpecs({QStringLiteral("streaming_llm"), QStringLiteral("-h2o"), QStringLiteral("full")});
    }

    void settle(const OverlapView& view)
    {
        ASSERT_TRUE(waitFor([&] { return m_replay.isSettled() && view.model()->isSettled(); }));
    }
};

TEST_F(OverlapViewTest, ShowsTheMethodsOnShow)
{
    OverlapView view(m_models);
    QAbstractItemModelTester tester(view.model(), QAbstractItemModelTester::FailureReportingMode::Warning);
    showAndWait(view, 500, 300);
    openAndWait();
    m_selection.setKeepPermille(250);
    settle(view);
    const QString streaming = view.model()->data(view.model()->index(0, 2)).toString();
    EXPECT_EQ(view.model()->text().toStdString(),
        " | StreamingLLM | FullKV | Oracle\n"
        "StreamingLLM | 1.00 | 0.25 | "
            + streaming.toStdString()
            + "\n"
              "FullKV | 0.25 | 1.00 | 1.00");
    EXPECT_GT(streaming.toDouble(), 0.05);
    EXPECT_LT(streaming.toDouble(), 0.95);
    m_selection.setKeepPermille(1000);
    settle(view);
    EXPECT_TRUE(view.model()->text().endsWith(QStringLiteral("FullKV | 1.00 | 1.00 | 1.00")));
    m_methods.setShown(1, true);
    settle(view);
    EXPECT_EQ(view.model()->rowCount(), 3);
}

TEST_F(OverlapViewTest, AsksTheHeadInViewAlone)
{
    OverlapView view(m_models);
    showAndWait(view, 500, 300);
    openAndWait();
    auto* scope = view.findChild<QComboBox*>(QStringLiteral("overlapScope"));
    scope->setFocus();
    QTest::keyClick(scope, Qt::Key_Home);
    EXPECT_EQ(view.model()->scope(), OverlapModel::Scope::Head);
    settle(view);
    EXPECT_TRUE(view.model()->text().contains(QStringLiteral("0.30"))) << qPrintable(view.model()->text());
}

TEST_F(OverlapViewTest, AChosenCellBringsItsMethodToTheFront)
{
    OverlapView view(m_models);
    showAndWait(view, 500, 300);
    openAndWait();
    settle(view);
    const QRect cell = view.table()->visualRect(view.model()->index(1, 0));
    QTest::mouseClick(view.table()->viewport(), Qt::LeftButton, {}, cell.center());
    EXPECT_EQ(m_methods.current(), 2) << "row 1 of the table is row 2 of the list: H2O is hidden";
}

} // namespace
} // namespace kvloupe
