// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/composer/composer_model.h"
#include "views/figure/attention_panel.h"
#include "views/figure/figure_spec.h"

#include <QAbstractItemModelTester>
#include <QTemporaryDir>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using testing::HasSubstr;

std::shared_ptr<const PanelSpec> map(int layer)
{
    FigureSpec spec;
    spec.recording = "/data/r.h5";
    spec.layer = layer;
    return std::make_shared<AttentionPanel>(std::move(spec));
}

class ComposerModelTest : public testing::Test {
protected:
    ComposerModelTest()
    {
        for (const int layer : {1, 2, 3})
            m_model.add(map(layer));
    }

    std::string text() const { return m_model.text().toStdString(); }
    QModelIndex at(int row, int column) const { return m_model.index(row, column); }

    ComposerModel m_model;
    QAbstractItemModelTester m_tester{&m_model, QAbstractItemModelTester::FailureReportingMode::Fatal};
};

TEST_F(ComposerModelTest, ListsThePanelsWithTheirLetters)
{
    EXPECT_EQ(text(),
        "174 mm, 2 columns, font 8, line 0.5, 300 dpi, shared range, letters\n"
        "(a) | attention, layer 1, head 0 of r.h5 | (its own) | 1\n"
        "(b) | attention, layer 2, head 0 of r.h5 | (its own) | 1\n"
        "(c) | attention, layer 3, head 0 of r.h5 | (its own) | 1");
}

TEST_F(ComposerModelTest, EveryEditIsUndoneOnItsOwn)
{
    std::vector<std::string> states{text()};
    const auto after = [&](auto edit) {
        edit();
        EXPECT_NE(text(), states.back());
        states.push_back(text());
    };
    after([&] { m_model.move(0, 1); });
    after([&] { m_model.setData(at(0, ComposerModel::TitleColumn), QStringLiteral("Full cache")); });
    after([&] { m_model.setData(at(1, ComposerModel::SpanColumn), 2); });
    after([&] { m_model.setData(at(2, ComposerModel::LetterColumn), QString()); });
    after([&] { m_model.remove(1); });
    for (std::size_t state = states.size() - 1; state-- > 0;) {
        m_model.undoStack()->undo();
        EXPECT_EQ(text(), states[state]);
    }
    for (std::size_t state = 1; state < states.size(); ++state) {
        m_model.undoStack()->redo();
        EXPECT_EQ(text(), states[state]);
    }
}

TEST_F(ComposerModelTest, TurningAKnobOnAndOnIsOneStep)
{
    const int steps = m_model.undoStack()->count();
    const std::string before = text();
    PageSpec page = m_model.page();
    for (const double font : {8.5, 9.0, 9.5}) {
        page.fontPoints = font;
        m_model.setSettings(page, QStringLiteral("font"));
    }
    EXPECT_EQ(m_model.undoStack()->count(), steps + 1);
    page.widthMm = 84.0;
    m_model.setSettings(page, QStringLiteral("width"));
    EXPECT_EQ(m_model.undoStack()->count(), steps + 2);
    m_model.undoStack()->undo();
    m_model.undoStack()->undo();
    EXPECT_EQ(text(), before);
}

TEST_F(ComposerModelTest, NothingHappensAtTheEndsAndOutside)
{
    const int steps = m_model.undoStack()->count();
    EXPECT_FALSE(m_model.move(0, -1));
    EXPECT_FALSE(m_model.move(2, 1));
    EXPECT_FALSE(m_model.move(-1, 1));
    m_model.remove(-1);
    m_model.remove(3);
    m_model.setSettings(m_model.page(), {});
    EXPECT_EQ(m_model.undoStack()->count(), steps);
}

TEST_F(ComposerModelTest, ASpanFitsThePage)
{
    m_model.setData(at(0, ComposerModel::SpanColumn), 99);
    EXPECT_EQ(m_model.page().panels[0].columnSpan, 2);
    PageSpec page = m_model.page();
    page.columns = 1;
    m_model.setSettings(page, {});
    EXPECT_EQ(m_model.page().panels[0].columnSpan, 1);
    EXPECT_NO_THROW(checkPage(m_model.page()));
}

TEST_F(ComposerModelTest, OpensWhatItSaved)
{
    const QTemporaryDir folder;
    const std::filesystem::path path = folder.filePath(QStringLiteral("page.json")).toStdString();
    m_model.setData(at(0, ComposerModel::TitleColumn), QStringLiteral("-"));
    m_model.setData(at(1, ComposerModel::TitleColumn), QStringLiteral("x"));
    m_model.save(path);
    EXPECT_TRUE(m_model.undoStack()->isClean());
    ComposerModel other;
    other.open(path);
    EXPECT_EQ(other.text(), m_model.text());
    EXPECT_TRUE(samePage(other.page(), m_model.page()));

    const std::string before = other.text().toStdString();
    try {
        other.open("/nonexistent/page.json");
        FAIL() << "nothing was thrown";
    } catch (const FigureError& error) {
        EXPECT_THAT(error.what(), HasSubstr("/nonexistent/page.json: cannot be opened"));
    }
    EXPECT_EQ(other.text().toStdString(), before) << "the page stays";
    EXPECT_THROW(m_model.save("/nonexistent/page.json"), FigureError);
}

} // namespace
} // namespace kvloupe
