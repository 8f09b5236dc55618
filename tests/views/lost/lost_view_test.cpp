// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/lost/lost_view.h"

#include "tests/views/window_models.h"
#include "views/lost/lost_model.h"

#include <QTest>
#include <QTreeWidget>

#include <array>
#include <cmath>

namespace kvloupe {
namespace {

class LostViewTest : public WindowModelsTest {
protected:
    LostViewTest()
    {
        allowSlowEvents();
        m_methods.fromSpecs({QStringLiteral("streaming_llm"), QStringLiteral("full")});
    }

    /// The mass straight from the definition.
    double expected(int layer, int head)
    {
        const Recording recording = Recording::open(path());
        AttentionTiles tiles(recording);
        const auto kept = m_replay.keptPositions(0, layer, head);
        double lost = 0.0;
        for (std::int64_t query = 200; query < 208; ++query)
            for (std::int64_t key = 0; key < 200; ++key)
                if (!std::ranges::binary_search(*kept, static_cast<std::int32_t>(key)))
                    lost += static_cast<double>(tiles.cell(0, layer, head, query, key)) / 8;
        return lost;
    }

    LostModel m_lost{m_models};
};

TEST_F(LostViewTest, MeasuresNothingWhileNobodyLooks)
{
    openAndWait();
    EXPECT_TRUE(std::isnan(m_lost.lost(0, 0, 0)));
    EXPECT_FALSE(m_lost.isReading());
    m_lost.setInterested(&m_selection, true);
    ASSERT_TRUE(waitFor([this] { return m_lost.heads().size() == 8; }));
    m_lost.setInterested(&m_selection, false);
}

TEST_F(LostViewTest, RanksHeadsAndTokensByWhatTheyLose)
{
    LostView view(m_models, &m_lost);
    showAndWait(view, 700, 300);
    openAndWait();
    ASSERT_TRUE(waitFor([this] { return m_lost.heads().size() == 8; }));
    const auto heads = m_lost.heads();
    double sum = 0.0;
    for (std::size_t i = 0; i < heads.size(); ++i) {
        EXPECT_NEAR(heads[i].mass, expected(heads[i].layer, heads[i].head), 1e-4);
        EXPECT_TRUE(i == 0 || heads[i - 1].mass >= heads[i].mass);
        sum += heads[i].mass;
    }
    EXPECT_GT(heads.front().mass, 0.0);
    double onTokens = 0.0;
    for (const LostModel::Token& token : m_lost.tokens(1000)) {
        onTokens += token.mass;
        EXPECT_GE(token.heads, 1);
    }
    EXPECT_NEAR(onTokens, sum / 8, 1e-6) << "two ways of adding the same";
    ASSERT_TRUE(waitFor([&] { return view.asText().contains(QStringLiteral("of the first 8 generated token")); }))
        << qPrintable(view.asText());
    const std::array trees{view.findChild<QTreeWidget*>(QStringLiteral("lostHeads")),
        view.findChild<QTreeWidget*>(QStringLiteral("lostTokens"))};
    ASSERT_TRUE(trees[0] && trees[1]);
    EXPECT_EQ(trees[0]->topLevelItemCount(), 8);

    trees[0]->setFocus();
    trees[0]->setCurrentItem(trees[0]->topLevelItem(3));
    QTest::keyClick(trees[0], Qt::Key_Return);
    EXPECT_EQ(m_selection.layer(), heads[3].layer);
    EXPECT_EQ(m_selection.head(), heads[3].head);
    trees[1]->setFocus();
    trees[1]->setCurrentItem(trees[1]->topLevelItem(0));
    QTest::keyClick(trees[1], Qt::Key_Return);
    EXPECT_EQ(m_selection.key(), m_lost.tokens().front().token);
}

TEST_F(LostViewTest, FollowsMethodAndBudget)
{
    LostView view(m_models, &m_lost);
    showAndWait(view, 700, 300);
    openAndWait();
    ASSERT_TRUE(waitFor([this] { return m_lost.heads().size() == 8; }));
    const double before = m_lost.heads().front().mass;
    m_selection.setKeepPermille(100);
    ASSERT_TRUE(waitFor(
        [&] { return m_replay.isSettled() && !m_lost.heads().empty() && m_lost.heads().front().mass > before; }));
    m_methods.setCurrent(1);
    ASSERT_TRUE(waitFor([&] { return m_replay.isSettled() && m_lost.heads().size() == 8; }));
    EXPECT_EQ(m_lost.heads().front().mass, 0.0) << "nothing is dropped";
    EXPECT_TRUE(m_lost.tokens().empty());
    m_recording.close();
    EXPECT_TRUE(m_lost.heads().empty());
    ASSERT_TRUE(waitFor([&] { return view.asText().startsWith(QStringLiteral("No sample")); }))
        << qPrintable(view.asText());
}

} // namespace
} // namespace kvloupe
