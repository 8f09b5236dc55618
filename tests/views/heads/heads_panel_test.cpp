// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heads/heads_panel.h"

#include "tests/views/window_models.h"
#include "views/heads/head_filter.h"
#include "views/heads/head_wall.h"
#include "views/lost/lost_model.h"
#include "views/session/session.h"

#include <QAbstractItemView>
#include <QComboBox>
#include <QCompleter>
#include <QInputDialog>
#include <QLineEdit>
#include <QTest>
#include <QTimer>
#include <QToolButton>

#include <algorithm>

namespace kvloupe {
namespace {

class HeadsPanelTest : public WindowModelsTest {
protected:
    HeadsPanelTest()
    {
        allowSlowEvents();
        m_methods.fromSpecs({QStringLiteral("streaming_llm"), QStringLiteral("full")});
    }

    void SetUp() override
    {
        WindowModelsTest::SetUp();
        QObject::connect(&m_recording, &OpenRecording::sampleChanged, m_wall,
            [this] { m_wall->setSample(m_recording.sample(), m_recording.source()); });
        showAndWait(m_panel, 330, 500);
        openAndWait({.sample = {}, .layer = 0, .head = 1});
        ASSERT_TRUE(waitFor([this] { return m_wall->isLoaded(); }));
        const auto lines = m_panel.findChildren<QLineEdit*>();
        ASSERT_EQ(lines.size(), 2);
        m_filterLine = lines[0];
        m_sortLine = lines[1];
    }

    void TearDown() override
    {
        m_recording.close();
        WindowModelsTest::TearDown();
    }

    static void type(QLineEdit* line, const QString& text)
    {
        line->setFocus();
        line->clear();
        QTest::keyClicks(line, text);
        line->findChild<QCompleter*>(QStringLiteral("completer"))->popup()->hide();
        QTest::keyClick(line, Qt::Key_Return);
    }

    void toggle(const QString& text)
    {
        const auto buttons = m_panel.findChildren<QToolButton*>();
        const auto found = std::ranges::find(buttons, text, &QToolButton::text);
        ASSERT_NE(found, buttons.end());
        QTest::mouseClick(*found, Qt::LeftButton);
    }

    std::vector<int> matching() const
    {
        const std::vector<bool> matches = m_panel.filter()->matches();
        std::vector<int> heads;
        for (std::size_t head = 0; head < matches.size(); ++head)
            if (matches[head])
                heads.push_back(static_cast<int>(head));
        return heads;
    }

    LostModel m_lost{m_models};
    HeadWall* m_wall = new HeadWall(&m_selection);
    Session m_session{&m_recording};
    HeadsPanel m_panel{m_wall, m_models, &m_lost, &m_session};
    QLineEdit* m_filterLine = nullptr;
    QLineEdit* m_sortLine = nullptr;
};

TEST_F(HeadsPanelTest, PicksHeadsByTheirNumbersAndDimsTheOthers)
{
    const QImage before = m_wall->viewport()->grab().toImage();
    type(m_filterLine, QStringLiteral("layer = 1 and head < 2"));
    EXPECT_EQ(matching(), (std::vector<int>{4, 5}));
    EXPECT_EQ(m_panel.summary(), QStringLiteral("2 of 8 heads"));
    const QImage after = m_wall->viewport()->grab().toImage();
    const QRect picked = m_wall->thumbnailRect(1, 0);
    const QRect other = m_wall->thumbnailRect(1, 3);
    EXPECT_EQ(after.copy(picked), before.copy(picked).copy(0, 0, picked.width(), picked.height()));
    EXPECT_NE(after.pixel(other.left() + 1, other.bottom() - 1), before.pixel(other.left() + 1, other.bottom() - 1));
}

TEST_F(HeadsPanelTest, MeasuresTheSampleWhenAnExpressionAsks)
{
    type(m_filterLine, QStringLiteral("entropy < 0 or sink >= 0"));
    ASSERT_TRUE(waitFor([this] { return !m_panel.filter()->isBusy() && !m_panel.filter()->matches().empty(); }));
    EXPECT_EQ(matching().size(), 8U);
    type(m_sortLine, QStringLiteral("-entropy"));
    const std::vector<int> order = m_panel.filter()->order();
    ASSERT_EQ(order.size(), 8U);
    const auto data = measureSparsity({{path()}, "0"}, [](double) { return true; });
    const auto& entropy = data->sides.front().maps[static_cast<std::size_t>(SparsityMeasure::Entropy)];
    for (std::size_t i = 1; i < order.size(); ++i)
        EXPECT_GE(entropy[static_cast<std::size_t>(order[i - 1])], entropy[static_cast<std::size_t>(order[i])]);
    const QPoint first = m_wall->thumbnailRect(order[0] / 4, order[0] % 4).topLeft();
    const QPoint second = m_wall->thumbnailRect(order[1] / 4, order[1] % 4).topLeft();
    EXPECT_TRUE(first.y() < second.y() || (first.y() == second.y() && first.x() < second.x()));
    QTest::mouseClick(
        m_wall->viewport(), Qt::LeftButton, {}, m_wall->thumbnailRect(order[2] / 4, order[2] % 4).center());
    EXPECT_EQ(m_selection.layer() * 4 + m_selection.head(), order[2]);
    m_wall->setFocus();
    QTest::keyClick(m_wall, Qt::Key_Right);
    QTest::keyClick(m_wall, Qt::Key_Return);
    EXPECT_EQ(m_selection.layer() * 4 + m_selection.head(), order[3]) << "arrows follow the order";
}

TEST_F(HeadsPanelTest, HidesWhatWasNotPicked)
{
    type(m_filterLine, QStringLiteral("head = 3"));
    toggle(QStringLiteral("Hide others"));
    EXPECT_FALSE(m_wall->thumbnailRect(0, 3).isEmpty());
    EXPECT_TRUE(m_wall->thumbnailRect(0, 1).isEmpty());
    QTest::mouseClick(m_wall->viewport(), Qt::LeftButton, {}, m_wall->thumbnailRect(1, 3).center());
    EXPECT_EQ(m_selection.layer(), 1);
    EXPECT_EQ(m_selection.head(), 3);
    type(m_filterLine, QStringLiteral("head > 100"));
    EXPECT_EQ(m_panel.summary(), QStringLiteral("0 of 8 heads"));
    EXPECT_TRUE(m_wall->thumbnailRect(0, 3).isEmpty());
    m_wall->viewport()->grab();
    type(m_filterLine, QString());
    EXPECT_FALSE(m_wall->thumbnailRect(0, 1).isEmpty());
}

TEST_F(HeadsPanelTest, PicksByWhatAMethodDrops)
{
    type(m_filterLine, QStringLiteral("evicted(streaming_llm) > 0 and evicted(full) = 0 and kept(full) = 1"));
    ASSERT_TRUE(waitFor([this] { return matching().size() == 8; })) << qPrintable(m_panel.summary());
    toggle(QStringLiteral("Lost"));
    const QRect rect = m_wall->thumbnailRect(0, 0);
    ASSERT_TRUE(waitFor([&] {
        return m_wall->viewport()->grab().toImage().pixel(rect.left(), rect.bottom() - 1)
            == m_methods.entries()[0].color.rgb();
    })) << "a bar in the colour of the method in front";
}

TEST_F(HeadsPanelTest, SaysWhatIsWrongAndKeepsTheLastRightExpression)
{
    type(m_filterLine, QStringLiteral("head = 3"));
    type(m_filterLine, QStringLiteral("head = "));
    EXPECT_TRUE(m_panel.summary().contains(QStringLiteral("at character 8: found the end")))
        << qPrintable(m_panel.summary());
    EXPECT_EQ(matching().size(), 2U);
    type(m_filterLine, QStringLiteral("snik > 1"));
    EXPECT_TRUE(m_panel.summary().contains(QStringLiteral("there are layer, head, entropy")));
    type(m_sortLine, QStringLiteral("head > 1"));
    EXPECT_TRUE(m_panel.summary().contains(QStringLiteral("sort: found a condition"))) << qPrintable(m_panel.summary());
}

TEST_F(HeadsPanelTest, NamedSetsAreSavedChangedWithCtrlAndDeleted)
{
    const auto button = [this](const QString& text) {
        const auto buttons = m_panel.findChildren<QToolButton*>();
        return *std::ranges::find(buttons, text, &QToolButton::text);
    };
    auto* sets = m_panel.findChild<QComboBox*>();
    type(m_filterLine, QStringLiteral("head = 3"));
    QTimer::singleShot(0, &m_panel, [this] {
        auto* dialog = m_panel.findChild<QInputDialog*>();
        ASSERT_TRUE(dialog);
        dialog->setTextValue(QStringLiteral("last heads"));
        dialog->accept();
    });
    QTest::mouseClick(button(QStringLiteral("Save...")), Qt::LeftButton);
    ASSERT_EQ(m_session.headSets(), (std::vector<HeadSet>{{"last heads", {{0, 3}, {1, 3}}}}));
    EXPECT_EQ(sets->currentText(), QStringLiteral("last heads"));
    type(m_filterLine, QString());
    EXPECT_EQ(m_panel.summary(), QStringLiteral("2 of 8 heads"));
    QTest::mouseClick(m_wall->viewport(), Qt::LeftButton, Qt::ControlModifier, m_wall->thumbnailRect(0, 0).center());
    QTest::mouseClick(m_wall->viewport(), Qt::LeftButton, Qt::ControlModifier, m_wall->thumbnailRect(1, 3).center());
    EXPECT_EQ(m_session.headSets().front().heads, (std::vector<std::pair<int, int>>{{0, 0}, {0, 3}}));
    EXPECT_EQ(m_selection.head(), 1) << "the head in view stays";
    m_session.undoStack()->undo();
    m_session.undoStack()->undo();
    EXPECT_EQ(m_session.headSets().front().heads, (std::vector<std::pair<int, int>>{{0, 3}, {1, 3}}));
    EXPECT_EQ(sets->currentText(), QStringLiteral("last heads"));
    QTest::mouseClick(button(QStringLiteral("Delete")), Qt::LeftButton);
    EXPECT_TRUE(m_session.headSets().empty());
    EXPECT_EQ(sets->count(), 1);
    EXPECT_EQ(m_panel.summary(), QString());
}

TEST_F(HeadsPanelTest, OffersNames)
{
    auto* completer = m_filterLine->findChild<QCompleter*>(QStringLiteral("completer"));
    ASSERT_TRUE(completer);
    m_filterLine->setFocus();
    QTest::keyClicks(m_filterLine, QStringLiteral("layer < 2 and en"));
    EXPECT_EQ(completer->currentCompletion(), QStringLiteral("entropy"));
    completer->popup()->hide();
    m_filterLine->clear();
    QTest::keyClicks(m_filterLine, QStringLiteral("evicted("));
    EXPECT_EQ(completer->completionCount(), 2);
    completer->popup()->hide();
}

} // namespace
} // namespace kvloupe
