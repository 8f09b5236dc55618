// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/selection/selection.h"

#include <gtest/gtest.h>

#include <QStringList>

namespace kvloupe {
namespace {

/// What the selection said, in order.
class SelectionTest : public testing::Test {
protected:
    SelectionTest()
    {
        const auto log = [this](const QString& line) { m_log << line; };
        QObject::connect(&m_selection, &Selection::recordingChanged, [=] { log(QStringLiteral("recording")); });
        QObject::connect(
            &m_selection, &Selection::sampleChanged, [=](int sample) { log(QStringLiteral("sample %1").arg(sample)); });
        QObject::connect(&m_selection, &Selection::headChanged,
            [=](int layer, int head) { log(QStringLiteral("head %1.%2").arg(layer).arg(head)); });
        QObject::connect(&m_selection, &Selection::cellChanged,
            [=](qint64 query, qint64 key) { log(QStringLiteral("cell %1,%2").arg(query).arg(key)); });
        QObject::connect(&m_selection, &Selection::rangeChanged, [=, this] {
            log(QStringLiteral("range %1-%2").arg(m_selection.range().begin).arg(m_selection.range().end));
        });
        QObject::connect(&m_selection, &Selection::methodChanged,
            [=, this] { log(QStringLiteral("method ") + QString::fromStdString(m_selection.method())); });
        QObject::connect(
            &m_selection, &Selection::keepChanged, [=](int keep) { log(QStringLiteral("keep %1").arg(keep)); });
        QObject::connect(
            &m_selection, &Selection::stepChanged, [=](qint64 step) { log(QStringLiteral("step %1").arg(step)); });
    }

    QStringList takeLog() { return std::exchange(m_log, {}); }
    static QStringList lines(const char* text)
    {
        return QString::fromUtf8(text).split(QStringLiteral("; "), Qt::SkipEmptyParts);
    }

    Selection m_selection;
    QStringList m_log;
};

TEST_F(SelectionTest, SaysEachChangeOnce)
{
    for (int round = 0; round < 2; ++round) {
        m_selection.setHead(2, 5);
        m_selection.setCell(9, 4);
        m_selection.setRange({3, 7});
        m_selection.setMethod("snapkv");
        m_selection.setKeepPermille(125);
        m_selection.setStep(4);
    }
    EXPECT_EQ(takeLog(), lines("head 2.5; cell 9,4; range 3-7; method snapkv; keep 125; step 4"));
}

TEST_F(SelectionTest, AnotherSampleForgetsTokensAndStepButNotHeadMethodAndBudget)
{
    m_selection.setSample(0);
    m_selection.setHead(1, 2);
    m_selection.setMethod("h2o");
    m_selection.setKeepPermille(500);
    m_selection.setCell(9, 4);
    m_selection.setRange({3, 7});
    m_selection.setStep(4);
    takeLog();
    m_selection.setSample(1);
    EXPECT_EQ(takeLog(), lines("cell -1,-1; range 0-0; step 0; sample 1"));
    EXPECT_EQ(m_selection.head(), 2);
    EXPECT_EQ(m_selection.method(), "h2o");
    EXPECT_EQ(m_selection.keepPermille(), 500);
}

TEST_F(SelectionTest, AnotherRecordingHasNoSampleYet)
{
    m_selection.setRecording("a.h5");
    m_selection.setSample(3);
    takeLog();
    m_selection.setRecording("b.h5");
    EXPECT_EQ(takeLog(), lines("sample -1; recording"));
}

TEST_F(SelectionTest, BudgetsAreExactDecimalsBetweenOneThousandthAndAll)
{
    const auto text = [this](int permille) {
        m_selection.setKeepPermille(permille);
        return m_selection.budget().text();
    };
    EXPECT_EQ(text(1), "0.001");
    EXPECT_EQ(text(70), "0.070");
    EXPECT_EQ(text(290), "0.290");
    EXPECT_EQ(text(1000), "1");
    EXPECT_EQ(text(-5), "0.001");
    EXPECT_EQ(text(5000), "1");
}

TEST_F(SelectionTest, ARangeBackwardsIsNone)
{
    m_selection.setRange({7, 3});
    EXPECT_EQ(takeLog(), QStringList());
    EXPECT_EQ(m_selection.range(), (TokenRange{0, 0}));
}

} // namespace
} // namespace kvloupe
