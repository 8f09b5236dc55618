// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/selection/selection_history.h"

#include "tests/views/widget_test.h"

namespace kvloupe {
namespace {

class SelectionHistoryTest : public WidgetTest {
protected:
    SelectionHistoryTest()
    {
        m_selection.setRecording("r.h5");
        m_selection.setSample(0);
        visit(0, 0, 5);
    }

    void visit(int layer, int head, std::int64_t key)
    {
        m_selection.setHead(layer, head);
        m_selection.setCell(key + 1, key);
        m_history.settle();
    }

    std::vector<std::int64_t> here() const { return {m_selection.sample(), m_selection.layer(), m_selection.key()}; }

    void back() { m_history.backAction()->trigger(); }
    void forward() { m_history.forwardAction()->trigger(); }

    Selection m_selection;
    SelectionHistory m_history{&m_selection};
};

using Here = std::vector<std::int64_t>;

TEST_F(SelectionHistoryTest, LeadsBackAndForward)
{
    EXPECT_FALSE(m_history.backAction()->isEnabled());
    visit(1, 2, 7);
    visit(3, 0, 9);
    back();
    EXPECT_EQ(here(), (Here{0, 1, 7}));
    back();
    EXPECT_EQ(here(), (Here{0, 0, 5}));
    EXPECT_FALSE(m_history.backAction()->isEnabled());
    forward();
    forward();
    EXPECT_EQ(here(), (Here{0, 3, 9}));
    EXPECT_FALSE(m_history.forwardAction()->isEnabled());
}

TEST_F(SelectionHistoryTest, PlacesPassedInAHurryAreOne)
{
    for (int key = 10; key < 20; ++key)
        m_selection.setCell(30, key);
    EXPECT_TRUE(waitFor([this] { return m_history.backAction()->isEnabled(); }));
    back();
    EXPECT_EQ(here(), (Here{0, 0, 5}));
}

TEST_F(SelectionHistoryTest, BackFromAPlaceThatHasNotSettledLeadsToTheOneBefore)
{
    visit(1, 0, 6);
    m_selection.setHead(2, 0);
    back();
    EXPECT_EQ(here(), (Here{0, 1, 6}));
    forward();
    EXPECT_EQ(m_selection.layer(), 2);
}

TEST_F(SelectionHistoryTest, ANewWayForgetsTheOldOne)
{
    visit(1, 0, 6);
    back();
    visit(2, 0, 8);
    EXPECT_FALSE(m_history.forwardAction()->isEnabled());
    back();
    EXPECT_EQ(here(), (Here{0, 0, 5}));
}

TEST_F(SelectionHistoryTest, TokensOfAnotherSampleWaitUntilItIsRead)
{
    m_selection.setSample(1);
    m_history.settle();
    back();
    EXPECT_EQ(here(), (Here{0, 0, -1})) << "its tokens are not known yet";
    m_history.sampleArrived();
    EXPECT_EQ(here(), (Here{0, 0, 5}));
    m_selection.setCell(3, 2);
    m_history.sampleArrived();
    EXPECT_EQ(m_selection.key(), 2) << "only once";
}

TEST_F(SelectionHistoryTest, RemembersAHundredPlacesOfOneRecording)
{
    for (int key = 0; key < 200; ++key)
        visit(0, 1, key);
    int steps = 0;
    for (; m_history.backAction()->isEnabled(); ++steps)
        back();
    EXPECT_EQ(steps, 99);
    EXPECT_EQ(m_selection.key(), 100);
    m_selection.setRecording("other.h5");
    EXPECT_FALSE(m_history.backAction()->isEnabled());
    EXPECT_FALSE(m_history.forwardAction()->isEnabled());
}

} // namespace
} // namespace kvloupe
