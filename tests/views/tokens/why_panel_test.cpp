// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/window_models.h"
#include "views/methods/explanation_model.h"
#include "views/tokens/token_panel.h"
#include "views/tokens/why_panel.h"

#include <QApplication>
#include <QClipboard>
#include <QComboBox>
#include <QLabel>
#include <QPushButton>
#include <QTest>
#include <QToolButton>

namespace kvloupe {
namespace {

class WhyPanelTest : public WindowModelsTest {
protected:
    WhyPanelTest()
    {
        m_methods.fromSpecs({QStringLiteral("snapkv"), QStringLiteral("streaming_llm"), QStringLiteral("shotkv")});
    }

    void openLayerOne() { openAndWait({.sample = {}, .layer = 1, .head = 3}); }

    bool settles()
    {
        return waitFor([this] { return m_replay.isSettled() && m_explanations.isSettled(); });
    }

    ExplanationModel m_explanations{m_models};
};

TEST_F(WhyPanelTest, AgreesWithWhatTheReplayKeepsForEveryMethodAndToken)
{
    WhyPanel panel(m_models, &m_explanations);
    showAndWait(panel, 380, 400);
    openLayerOne();
    for (int row = 0; row < 3; ++row) {
        m_methods.setCurrent(row);
        ASSERT_TRUE(settles());
        const std::string title = m_methods.entries()[static_cast<std::size_t>(row)].title.toStdString();
        const auto kept = m_replay.keptPositions(row, 1, 3);
        ASSERT_TRUE(kept);
        for (std::int64_t token = 0; token < 200; token += 7) {
            m_selection.setCell(199, token);
            const bool isKept = std::ranges::binary_search(*kept, token);
            EXPECT_TRUE(panel.fate().verdict.startsWith(
                QString::fromStdString(title + (isKept ? " keeps " : " drops ") + "token " + std::to_string(token))))
                << qPrintable(panel.fate().verdict);
        }
    }
}

TEST_F(WhyPanelTest, ExplainsSnapKvWithAndWithoutPooling)
{
    WhyPanel panel(m_models, &m_explanations);
    showAndWait(panel, 380, 400);
    openLayerOne();
    ASSERT_TRUE(settles());
    m_selection.setCell(199, 100);
    EXPECT_TRUE(panel.fate().text().contains(QStringLiteral("Without pooling: ")));
    EXPECT_TRUE(panel.fate().verdict.contains(QStringLiteral("layer 1, KV head 1"))) << "query head 3 reads KV head 1";
    EXPECT_TRUE(panel.findChild<QLabel*>(QStringLiteral("whyVerdict"))->text().contains(QStringLiteral("token 100")));
    m_selection.setCell(199, 199);
    EXPECT_TRUE(panel.fate().reason.contains(QStringLiteral("observation window")));
    QTest::mouseClick(panel.findChild<QPushButton*>(QStringLiteral("whyCopy")), Qt::LeftButton);
    EXPECT_EQ(QApplication::clipboard()->text(), panel.fate().text());
}

TEST_F(WhyPanelTest, FollowsTheBudget)
{
    WhyPanel panel(m_models, &m_explanations);
    showAndWait(panel, 380, 400);
    openLayerOne();
    m_selection.setCell(199, 100);
    m_selection.setKeepPermille(1000);
    ASSERT_TRUE(settles());
    EXPECT_TRUE(panel.fate().verdict.startsWith(QStringLiteral("SnapKV keeps"))) << qPrintable(panel.fate().verdict);
    EXPECT_TRUE(panel.fate().text().contains(QStringLiteral("200 tokens asked for")));
    m_selection.setKeepPermille(100);
    ASSERT_TRUE(settles());
    EXPECT_TRUE(panel.fate().text().contains(QStringLiteral("20 tokens asked for")));
}

TEST_F(WhyPanelTest, ComputesNothingWhileItIsHidden)
{
    WhyPanel panel(m_models, &m_explanations);
    openLayerOne();
    ASSERT_TRUE(settles());
    EXPECT_EQ(m_explanations.explanation(), nullptr);
    showAndWait(panel, 380, 400);
    ASSERT_TRUE(settles());
    EXPECT_NE(m_explanations.explanation(), nullptr);
}

TEST_F(WhyPanelTest, VotesUnderlineTheText)
{
    TokenPanel panel;
    panel.follow(m_models);
    showAndWait(panel, 600, 300);
    openLayerOne();
    EXPECT_TRUE(panel.view()->votes().isEmpty());
    const QImage plain = panel.view()->viewport()->grab(panel.view()->tokenRect(0)).toImage();
    auto* voters = panel.findChild<QComboBox*>(QStringLiteral("voters"));
    voters->setFocus();
    QTest::keyClick(voters, Qt::Key_Down);
    EXPECT_EQ(panel.view()->votes().heads, 2) << "two KV heads in a layer";
    QTest::keyClick(voters, Qt::Key_Down);
    EXPECT_EQ(panel.view()->votes().heads, 4);
    EXPECT_NE(panel.view()->viewport()->grab(panel.view()->tokenRect(0)).toImage(), plain);
    m_selection.setKeepPermille(1000);
    ASSERT_TRUE(settles());
    EXPECT_EQ(panel.view()->votes().counts, std::vector<std::int32_t>(200, 4)) << "everyone keeps everything";
}

TEST_F(WhyPanelTest, CopiesWhatSurvivedByTheButton)
{
    TokenPanel panel;
    panel.follow(m_models);
    showAndWait(panel, 600, 300);
    openLayerOne();
    QTest::mouseClick(panel.findChild<QToolButton*>(QStringLiteral("copySurvivors")), Qt::LeftButton);
    const QString some = QApplication::clipboard()->text();
    EXPECT_EQ(some, panel.view()->plainText(true));
    EXPECT_LT(some.size(), panel.view()->plainText(false).size());
}

} // namespace
} // namespace kvloupe
