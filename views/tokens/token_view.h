// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/methods/head_votes.h"
#include "views/selection/selection.h"
#include "views/session/sample_model.h"
#include "views/tokens/token_layout.h"
#include "views/tokens/token_search.h"
#include "views/tokens/token_text.h"

#include <QAbstractScrollArea>
#include <QPointer>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace kvloupe {

/// The prompt and the answer as they read: wrapped text in which the tokens a method dropped are faded and struck
/// through.
///
/// Sections (shots, question, generated text) are marked beside the text. The token under the cursor follows the
/// selection and drives it: a click, or the arrow keys, select a key column. Only visible lines are painted.
class TokenView final : public QAbstractScrollArea {
    Q_OBJECT

public:
    explicit TokenView(QWidget* parent = nullptr);

    /// The same text with other spans stays where it is scrolled to.
    void setSample(SampleModelPtr sample);
    void setSelection(Selection* selection);
    /// Positions that a method keeps, ascending; nothing = everything is kept. Generated tokens are never faded.
    void setKept(std::optional<std::vector<std::int32_t>> kept);

    /// Underlines tokens, the heavier the more heads keep them; none = no underlines.
    void setVotes(HeadVotes votes);
    const HeadVotes& votes() const { return m_votes; }

    const TokenText& text() const;
    bool isDropped(std::int64_t token) const;
    /// Text of the selected tokens, of all if none are selected; without those that were dropped if `survivorsOnly`.
    QString plainText(bool survivorsOnly) const;
    bool hasTokenSelection() const { return m_anchor >= 0; }

    /// Finds all matches and goes to the first at or after the current token. Returns what is wrong with the pattern,
    /// or an empty text. An empty pattern clears the matches.
    QString find(const QString& pattern, FindMode mode);
    void goToMatch(int step);
    int matchCount() const { return static_cast<int>(m_matches.size()); }
    int currentMatch() const { return m_currentMatch; }

    /// Where the token's first piece is painted, in viewport coordinates; empty before the first layout.
    QRect tokenRect(std::int64_t token) const;
    /// Token at a position of the viewport, -1 outside the text.
    std::int64_t tokenAt(const QPoint& position) const;
    void showToken(std::int64_t token);
    /// Makes `token` the current one and selects its key column.
    void activateToken(std::int64_t token);
    std::int64_t currentToken() const;

    QSize sizeHint() const override { return {600, 220}; }

public slots:
    void copySurvivors();
    void copyEverything();
    void selectAll();

signals:
    void matchesChanged(int current, int count);

protected:
    bool viewportEvent(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void changeEvent(QEvent* event) override;
    void contextMenuEvent(QContextMenuEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;

private:
    /// A stretch that the gutter names.
    struct Section {
        std::int64_t begin = 0;
        std::int64_t end = 0;
        QString name;
        int shot = -1;
    };
    enum class Fate { Kept, Partly, Dropped };

    void measure();
    void relayout();
    void findSections();
    void moveTo(int group, bool extend);
    int groupAt(const QPoint& position) const;
    int currentGroup() const;
    GroupRange selectedGroups() const;
    /// Brings the marked stretch to the selection, and back.
    void publishRange();
    void adoptRange();
    bool isMatch(int group) const;
    Fate fateOf(int group) const;
    double gutterWidth() const;
    int lineHeight() const;
    void paintLine(QPainter& painter, int line, double top) const;
    void paintGutter(QPainter& painter, int firstLine, int lastLine, double top) const;
    void describe();
    QString toolTipOf(std::int64_t token) const;
    const Section* sectionOf(std::int64_t token) const;

    SampleModelPtr m_sample;
    QPointer<Selection> m_selection;
    TokenLayout m_layout;
    std::vector<Section> m_sections;
    std::vector<std::uint8_t> m_dropped; ///< by prompt token; empty = none
    HeadVotes m_votes;
    std::vector<GroupRange> m_matches;
    int m_currentMatch = -1;
    int m_cursor = -1; ///< group
    int m_anchor = -1; ///< group where the selected stretch began, -1 = none
    int m_pressed = -1;
    int m_hovered = -1;
};

} // namespace kvloupe
