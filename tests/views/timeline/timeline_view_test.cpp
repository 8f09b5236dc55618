// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/window_models.h"
#include "views/timeline/kept_in_view.h"
#include "views/timeline/timeline_bars.h"
#include "views/timeline/timeline_view.h"
#include "views/tokens/token_panel.h"

#include <QAction>
#include <QImage>
#include <QSpinBox>
#include <QTest>
#include <QToolBar>
#include <QWheelEvent>

namespace kvloupe {
namespace {

TEST(HeadLife, TellsALifeInWords)
{
    auto sample = std::make_shared<SampleModel>();
    HeadLife life;
    life.sample = sample;
    life.promptTokens = 3;
    life.steps = 2;
    life.timeline.evictedAt = {0, -1, 1, 2, -1};
    life.missed = MissedAttention{{2, 0, 2, 0, 0}, {0.25F, 0.0F, 0.5F, 0.0F, 0.0F}, {0.125F, 0.75F}};
    EXPECT_EQ(life.aliveAfter(0), (std::vector<std::int32_t>{1, 2}));
    EXPECT_EQ(life.aliveAfter(1), (std::vector<std::int32_t>{1, 3}));
    EXPECT_EQ(life.aliveAfter(2), (std::vector<std::int32_t>{1, 4}));
    EXPECT_EQ(life.stepText(0), QStringLiteral("after the prompt: 2 of 3 tokens in the cache"));
    EXPECT_TRUE(life.stepText(2).endsWith(
        QStringLiteral("2 of 5 tokens in the cache; its query missed 75.0 % of its attention")))
        << qPrintable(life.stepText(2));
    EXPECT_TRUE(life.tokenText(0).endsWith(
        QStringLiteral(": dropped after the prompt; generated token 2 wanted it most (0.25)")))
        << qPrintable(life.tokenText(0));
    EXPECT_TRUE(life.tokenText(1).endsWith(QStringLiteral(": in the cache to the end")));
    EXPECT_TRUE(life.tokenText(3).endsWith(QStringLiteral(": dropped after generated token 2")));
    EXPECT_EQ(life.tokenText(5), QString());
}

class TimelineViewTest : public WindowModelsTest {
protected:
    TimelineViewTest()
    {
        m_methods.fromSpecs(
            {QStringLiteral("tova:phase=every_step"), QStringLiteral("streaming_llm"), QStringLiteral("full")});
    }

    void settle()
    {
        ASSERT_TRUE(waitFor([this] { return m_replay.isSettled() && m_timeline.isSettled(); }));
    }

    void click(TimelineView& view, const char* action)
    {
        auto* tools = view.findChild<QToolBar*>();
        QTest::mouseClick(tools->widgetForAction(view.findChild<QAction*>(QString::fromUtf8(action))), Qt::LeftButton);
    }

    TimelineModel m_timeline{m_models};
};

TEST_F(TimelineViewTest, WhatTheMapAndTheStatusLineShowFollowsTheStep)
{
    TimelineView view(m_models, &m_timeline);
    showAndWait(view, 600, 300);
    openAndWait({.sample = {}, .layer = 1, .head = 3});
    settle();
    const HeadLife* life = m_timeline.life();
    ASSERT_TRUE(life) << qPrintable(m_timeline.problem());
    const auto atStart = keptInView(m_models, &m_timeline, 0);
    ASSERT_TRUE(atStart);
    EXPECT_EQ(atStart->positions.size(), 60U);
    EXPECT_EQ(atStart->tokens, 200);
    m_selection.setStep(5);
    const auto later = keptInView(m_models, &m_timeline, 0);
    EXPECT_EQ(later->positions, life->aliveAfter(5));
    EXPECT_EQ(later->tokens, 205);
    EXPECT_EQ(later->step, 5);
    EXPECT_EQ(keptInView(m_models, &m_timeline, 1)->step, 0) << "the life of the method in front alone is known";
    EXPECT_EQ(keptInView(m_models, nullptr, 0)->positions, atStart->positions);
    m_selection.setStep(1000);
    EXPECT_EQ(keptInView(m_models, &m_timeline, 0)->step, 8);
}

TEST_F(TimelineViewTest, ShowsTheTimelineOfCore)
{
    TimelineView view(m_models, &m_timeline);
    showAndWait(view, 600, 300);
    openAndWait({.sample = {}, .layer = 1, .head = 3});
    settle();
    const HeadLife* life = m_timeline.life();
    ASSERT_TRUE(life) << qPrintable(m_timeline.problem());
    EXPECT_EQ(life->steps, 8);
    const Recording recording = Recording::open(path());
    const Method& method = m_methods.entries()[0].method;
    const auto scored = Replay(recording).score(0, std::span(&method, 1));
    const CacheTimeline wanted = Replay(recording).timeline(0, scored[0], m_selection.budget());
    EXPECT_EQ(life->timeline.evictedAt, wanted.layers.at(1)[1].evictedAt) << "query head 3 reads KV head 1";
    ASSERT_TRUE(life->missed);
    EXPECT_EQ(life->missed->lostMass.size(), 8U);
    EXPECT_TRUE(view.stepLine().startsWith(QStringLiteral("TOVA, after the prompt: 60 of 200 tokens")))
        << qPrintable(view.stepLine());
}

TEST_F(TimelineViewTest, AClickChoosesTokenAndStep)
{
    TimelineView view(m_models, &m_timeline);
    showAndWait(view, 900, 300);
    openAndWait();
    settle();
    QTest::mouseClick(view.bars(), Qt::LeftButton, {}, view.bars()->pixelOf(120, 5).toPoint());
    EXPECT_EQ(m_selection.step(), 5);
    EXPECT_NEAR(static_cast<double>(m_selection.key()), 120.0, 1.0);
    EXPECT_TRUE(view.tokenLine().startsWith(QStringLiteral("token 1"))) << qPrintable(view.tokenLine());
    view.bars()->setFocus();
    const std::int64_t token = m_selection.key();
    QTest::keyClick(view.bars(), Qt::Key_Right);
    QTest::keyClick(view.bars(), Qt::Key_Up);
    EXPECT_EQ(m_selection.key(), token + 1);
    EXPECT_EQ(m_selection.step(), 4);
    QTest::keyClick(view.bars(), Qt::Key_End);
    EXPECT_EQ(m_selection.step(), 8);
}

TEST_F(TimelineViewTest, JumpsToTheDeathAndToTheQueryThatWantedTheToken)
{
    TimelineView view(m_models, &m_timeline);
    showAndWait(view, 900, 300);
    openAndWait();
    settle();
    const HeadLife* life = m_timeline.life();
    ASSERT_TRUE(life && life->missed);
    std::int64_t token = 0;
    while (token < life->tokens()
        && !(life->death(token) > 0 && life->missed->wantedAt[static_cast<std::size_t>(token)] > 0))
        ++token;
    ASSERT_LT(token, life->tokens()) << "TOVA drops some token while it generates";
    m_selection.setCell(199, token);
    click(view, "timelineDeath");
    EXPECT_EQ(m_selection.step(), life->death(token));
    click(view, "timelineWanted");
    EXPECT_EQ(m_selection.step(), life->missed->wantedAt[static_cast<std::size_t>(token)]);
    EXPECT_GT(m_selection.step(), life->death(token));
}

TEST_F(TimelineViewTest, PlaysToTheEndAndStops)
{
    TimelineView view(m_models, &m_timeline);
    showAndWait(view, 900, 300);
    openAndWait();
    settle();
    m_selection.setStep(6);
    click(view, "timelinePlay");
    EXPECT_TRUE(view.isPlaying());
    ASSERT_TRUE(waitFor([&] { return !view.isPlaying(); }));
    EXPECT_EQ(m_selection.step(), 8);
    click(view, "timelinePlay");
    EXPECT_EQ(m_selection.step(), 0) << "playing again begins anew";
    view.hide();
    EXPECT_FALSE(view.isPlaying());
}

TEST_F(TimelineViewTest, BarsEndWhereTokensDie)
{
    m_methods.setCurrent(1); // StreamingLLM: both ends stay, the middle goes with the prompt
    TimelineView view(m_models, &m_timeline);
    showAndWait(view, 900, 300);
    openAndWait();
    settle();
    ASSERT_EQ(m_timeline.life()->method, QStringLiteral("StreamingLLM"));
    const QImage image = view.bars()->grab().toImage();
    const auto colorAt = [&](std::int64_t token, std::int64_t step) {
        return QColor(image.pixel(view.bars()->pixelOf(token, step).toPoint()));
    };
    const QColor color = m_methods.entries()[1].color;
    EXPECT_EQ(colorAt(2, 4).rgb(), color.rgb()) << "a sink lives";
    EXPECT_EQ(colorAt(198, 2).rgb(), color.rgb());
    EXPECT_NE(colorAt(80, 2).rgb(), color.rgb());
    EXPECT_NE(colorAt(205, 1).rgb(), color.rgb()) << "it is not generated yet";
    EXPECT_EQ(colorAt(205, 7).rgb(), color.rgb());
}

TEST_F(TimelineViewTest, TheWheelZoomsAndADoubleClickShowsAll)
{
    TimelineView view(m_models, &m_timeline);
    showAndWait(view, 900, 300);
    openAndWait();
    settle();
    const double before = view.bars()->pixelOf(101, 0).x() - view.bars()->pixelOf(100, 0).x();
    const QPointF at = view.bars()->pixelOf(100, 0);
    QWheelEvent wheel(at, view.bars()->mapToGlobal(at), {}, {0, 480}, {}, {}, Qt::NoScrollPhase, false);
    QApplication::sendEvent(view.bars(), &wheel);
    EXPECT_GT(view.bars()->pixelOf(101, 0).x() - view.bars()->pixelOf(100, 0).x(), 2.0 * before);
    EXPECT_NEAR(view.bars()->pixelOf(100, 0).x(), at.x(), 1.0) << "what is under the mouse stays there";
    QTest::mouseDClick(view.bars(), Qt::LeftButton, {}, at.toPoint());
    EXPECT_NEAR(view.bars()->pixelOf(101, 0).x() - view.bars()->pixelOf(100, 0).x(), before, 1e-6);
}

TEST_F(TimelineViewTest, TheTextShowsTheCacheOfTheStep)
{
    TimelineView view(m_models, &m_timeline);
    TokenPanel panel;
    panel.follow(m_models, &m_timeline);
    showAndWait(view, 600, 300);
    showAndWait(panel, 600, 300);
    openAndWait();
    settle();
    const HeadLife* life = m_timeline.life();
    std::int64_t token = 0;
    while (token < 200 && life->death(token) <= 0)
        ++token;
    ASSERT_LT(token, 200);
    m_selection.setStep(life->death(token) - 1);
    EXPECT_FALSE(panel.view()->isDropped(token));
    m_selection.setStep(life->death(token));
    EXPECT_TRUE(panel.view()->isDropped(token));
    m_selection.setStep(0);
    EXPECT_FALSE(panel.view()->isDropped(token));
}

TEST_F(TimelineViewTest, ComputesNothingWhileItIsHidden)
{
    TimelineView view(m_models, &m_timeline);
    openAndWait();
    settle();
    EXPECT_EQ(m_timeline.life(), nullptr);
}

class TimelineOfStatisticsTest : public WindowModelsTest {
protected:
    TimelineOfStatisticsTest()
        : WindowModelsTest([] {
            SyntheticRecording options = small();
            options.kind = RecordKind::Statistics;
            return options;
        }())
    {
        m_methods.fromSpecs({QStringLiteral("tova:phase=every_step")});
    }

    TimelineModel m_timeline{m_models};
};

TEST_F(TimelineOfStatisticsTest, SaysWhatIsMissing)
{
    TimelineView view(m_models, &m_timeline);
    showAndWait(view, 600, 300);
    openAndWait();
    ASSERT_TRUE(waitFor([this] { return m_replay.isSettled() && m_timeline.isSettled(); }));
    EXPECT_EQ(m_timeline.life(), nullptr);
    EXPECT_TRUE(m_timeline.problem().contains(QStringLiteral("--record qk"))) << qPrintable(m_timeline.problem());
}

} // namespace
} // namespace kvloupe
