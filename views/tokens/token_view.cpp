// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/tokens/token_view.h"

#include <QApplication>
#include <QClipboard>
#include <QContextMenuEvent>
#include <QHelpEvent>
#include <QKeyEvent>
#include <QMenu>
#include <QMouseEvent>
#include <QPainter>
#include <QScrollBar>
#include <QToolTip>

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

constexpr int textMargin = 8; ///< pixels around the text
constexpr double heaviestUnderline = 4.0; ///< pixels under a token that every head keeps

QColor blend(const QColor& from, const QColor& to, double share)
{
    const auto mix = [share](int a, int b) { return static_cast<int>(std::lround(a + (b - a) * share)); };
    return {mix(from.red(), to.red()), mix(from.green(), to.green()), mix(from.blue(), to.blue())};
}

bool isDark(const QPalette& palette)
{
    return palette.color(QPalette::Base).lightness() < 128;
}

QString sectionName(SpanKind kind)
{
    switch (kind) {
    case SpanKind::System:
        return TokenView::tr("system");
    case SpanKind::Template:
        return TokenView::tr("template");
    case SpanKind::Instruction:
        return TokenView::tr("instruction");
    case SpanKind::Context:
        return TokenView::tr("context");
    case SpanKind::Needle:
        return TokenView::tr("needle");
    case SpanKind::Evidence:
        return TokenView::tr("evidence");
    case SpanKind::Question:
        return TokenView::tr("question");
    case SpanKind::Thinking:
        return TokenView::tr("thinking");
    case SpanKind::Answer:
        return TokenView::tr("answer");
    case SpanKind::Generated:
        return TokenView::tr("generated");
    case SpanKind::Bos:
    case SpanKind::Shot:
    case SpanKind::ShotQuestion:
    case SpanKind::ShotAnswer:
        break;
    }
    return {};
}

} // namespace

TokenView::TokenView(QWidget* parent)
    : QAbstractScrollArea(parent)
{
    setFocusPolicy(Qt::StrongFocus);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    setAccessibleName(tr("Prompt text"));
    viewport()->setMouseTracking(true);
    viewport()->setCursor(Qt::IBeamCursor);
    viewport()->setBackgroundRole(QPalette::Base);
    viewport()->setAutoFillBackground(true);
}

void TokenView::setSample(SampleModelPtr sample)
{
    const bool isSameText = sample && m_sample && sample->sample == m_sample->sample
        && sample->text.offsets == m_sample->text.offsets && sample->text.text == m_sample->text.text;
    m_sample = std::move(sample);
    if (isSameText) {
        findSections();
        relayout();
        return;
    }
    m_dropped.clear();
    m_votes = {};
    m_matches.clear();
    m_currentMatch = m_cursor = m_anchor = m_pressed = m_hovered = -1;
    findSections();
    measure();
    verticalScrollBar()->setValue(0);
    emit matchesChanged(-1, 0);
    describe();
}

const TokenText& TokenView::text() const
{
    static const TokenText none;
    return m_sample ? m_sample->tokens : none;
}

void TokenView::setSelection(Selection* selection)
{
    if (m_selection)
        m_selection->disconnect(this);
    m_selection = selection;
    if (!m_selection)
        return;
    connect(m_selection, &Selection::cellChanged, this, [this](qint64, qint64 key) {
        if (m_anchor < 0)
            m_cursor = text().groupOf(key);
        viewport()->update();
        describe();
    });
    connect(m_selection, &Selection::rangeChanged, this, &TokenView::adoptRange);
}

void TokenView::setVotes(HeadVotes votes)
{
    if (votes == m_votes)
        return;
    m_votes = std::move(votes);
    viewport()->update();
}

void TokenView::setKept(std::optional<std::vector<std::int32_t>> kept)
{
    std::vector<std::uint8_t> dropped;
    if (kept && m_sample) {
        dropped.assign(static_cast<std::size_t>(m_sample->info.promptTokens), 1);
        for (const std::int32_t position : *kept) {
            if (position >= 0 && static_cast<std::size_t>(position) < dropped.size())
                dropped[static_cast<std::size_t>(position)] = 0;
        }
    }
    if (dropped == m_dropped)
        return;
    m_dropped = std::move(dropped);
    viewport()->update();
    describe();
}

bool TokenView::isDropped(std::int64_t token) const
{
    return token >= 0 && static_cast<std::size_t>(token) < m_dropped.size()
        && m_dropped[static_cast<std::size_t>(token)] != 0;
}

TokenView::Fate TokenView::fateOf(int group) const
{
    const TokenGroup& tokens = text().groups()[static_cast<std::size_t>(group)];
    std::int64_t dropped = 0;
    for (std::int64_t token = tokens.begin; token < tokens.end; ++token)
        dropped += isDropped(token) ? 1 : 0;
    if (dropped == 0)
        return Fate::Kept;
    return dropped == tokens.end - tokens.begin ? Fate::Dropped : Fate::Partly;
}

QString TokenView::plainText(bool survivorsOnly) const
{
    GroupRange range = selectedGroups();
    if (range.begin == range.end)
        range = {0, static_cast<int>(text().groups().size())};
    QString joined;
    for (int group = range.begin; group < range.end; ++group) {
        const TokenGroup& tokens = text().groups()[static_cast<std::size_t>(group)];
        if (!tokens.special && !(survivorsOnly && fateOf(group) == Fate::Dropped))
            joined += tokens.text;
    }
    return joined;
}

void TokenView::copySurvivors()
{
    QApplication::clipboard()->setText(plainText(true));
}

void TokenView::copyEverything()
{
    QApplication::clipboard()->setText(plainText(false));
}

void TokenView::selectAll()
{
    if (text().groups().empty())
        return;
    m_anchor = 0;
    m_cursor = static_cast<int>(text().groups().size()) - 1;
    publishRange();
}

void TokenView::findSections()
{
    m_sections.clear();
    if (!m_sample)
        return;
    int number = 0;
    for (const TokenRange& shot : m_sample->layout.shots()) {
        m_sections.push_back({shot.begin, shot.end, tr("shot %1").arg(number + 1), number});
        ++number;
    }
    for (const Span& span : m_sample->layout.spans()) {
        const QString name = sectionName(span.kind);
        if (span.shot < 0 && !name.isEmpty())
            m_sections.push_back({span.begin, span.end, name, -1});
    }
    const std::int64_t prompt = m_sample->info.promptTokens;
    const bool namesGenerated
        = std::ranges::any_of(m_sections, [&](const Section& section) { return section.begin >= prompt; });
    if (m_sample->info.totalTokens > prompt && !namesGenerated)
        m_sections.push_back({prompt, m_sample->info.totalTokens, sectionName(SpanKind::Generated), -1});
    std::ranges::stable_sort(m_sections, {}, &Section::begin);
}

const TokenView::Section* TokenView::sectionOf(std::int64_t token) const
{
    // The one that began last is the innermost.
    const Section* found = nullptr;
    for (const Section& section : m_sections) {
        if (section.begin > token)
            break;
        if (token < section.end)
            found = &section;
    }
    return found;
}

int TokenView::lineHeight() const
{
    return static_cast<int>(std::ceil(QFontMetricsF(font()).height() * 1.3));
}

double TokenView::gutterWidth() const
{
    if (m_sections.empty())
        return textMargin;
    const QFontMetricsF metrics(font());
    double widest = 0.0;
    for (const Section& section : m_sections)
        widest = std::max(widest, metrics.horizontalAdvance(section.name));
    return widest + 2.5 * textMargin;
}

void TokenView::measure()
{
    const QFontMetricsF metrics(font());
    m_layout = TokenLayout(text().groups(), [&](const QString& piece) { return metrics.horizontalAdvance(piece); });
    relayout();
}

void TokenView::relayout()
{
    m_layout.layOut(std::max(80.0, viewport()->width() - gutterWidth() - textMargin));
    const int height = lineHeight();
    const int visible = viewport()->height();
    verticalScrollBar()->setPageStep(visible);
    verticalScrollBar()->setSingleStep(height);
    verticalScrollBar()->setRange(0, std::max(0, m_layout.lineCount() * height + 2 * textMargin - visible));
    viewport()->update();
}

void TokenView::resizeEvent(QResizeEvent* event)
{
    // The first visible line stays the first visible line when the text wraps anew.
    const std::span<const TokenFragment> top
        = m_layout.line(std::max(0, (verticalScrollBar()->value() - textMargin) / lineHeight()));
    const int group = verticalScrollBar()->value() > 0 && !top.empty() ? top.front().group : -1;
    QAbstractScrollArea::resizeEvent(event);
    relayout();
    if (group >= 0)
        verticalScrollBar()->setValue(m_layout.lineOf(group) * lineHeight() + textMargin);
}

void TokenView::changeEvent(QEvent* event)
{
    QAbstractScrollArea::changeEvent(event);
    if (event->type() == QEvent::FontChange || event->type() == QEvent::StyleChange)
        measure();
    else if (event->type() == QEvent::PaletteChange)
        viewport()->update();
}

QRect TokenView::tokenRect(std::int64_t token) const
{
    const int group = text().groupOf(token);
    const int fragment = m_layout.firstFragmentOf(group);
    const int line = m_layout.lineOf(group);
    if (fragment < 0 || line < 0)
        return {};
    const TokenFragment& piece = m_layout.fragments()[static_cast<std::size_t>(fragment)];
    const int height = lineHeight();
    return QRectF(
        gutterWidth() + piece.x, textMargin + line * height - verticalScrollBar()->value(), piece.width, height)
        .toAlignedRect();
}

int TokenView::groupAt(const QPoint& position) const
{
    if (m_layout.lineCount() == 0)
        return -1;
    const int line = std::clamp(
        (position.y() + verticalScrollBar()->value() - textMargin) / lineHeight(), 0, m_layout.lineCount() - 1);
    const TokenFragment* fragment = m_layout.fragmentAt(line, position.x() - gutterWidth());
    return fragment ? fragment->group : -1;
}

std::int64_t TokenView::tokenAt(const QPoint& position) const
{
    const int y = position.y() + verticalScrollBar()->value() - textMargin;
    if (y < 0 || y >= m_layout.lineCount() * lineHeight())
        return -1;
    const TokenFragment* fragment = m_layout.fragmentAt(y / lineHeight(), position.x() - gutterWidth());
    if (!fragment || position.x() - gutterWidth() < fragment->x
        || position.x() - gutterWidth() > fragment->x + fragment->width)
        return -1;
    return text().groups()[static_cast<std::size_t>(fragment->group)].begin;
}

void TokenView::showToken(std::int64_t token)
{
    const int line = m_layout.lineOf(text().groupOf(token));
    if (line < 0)
        return;
    const int height = lineHeight();
    const int top = textMargin + line * height;
    QScrollBar* bar = verticalScrollBar();
    if (top < bar->value())
        bar->setValue(top - height);
    else if (top + height > bar->value() + viewport()->height())
        bar->setValue(top + 2 * height - viewport()->height());
}

std::int64_t TokenView::currentToken() const
{
    const int group = currentGroup();
    return group < 0 ? -1 : text().groups()[static_cast<std::size_t>(group)].begin;
}

int TokenView::currentGroup() const
{
    const int selected = m_selection ? text().groupOf(m_selection->key()) : -1;
    return m_cursor >= 0 ? m_cursor : selected;
}

void TokenView::activateToken(std::int64_t token)
{
    const int group = text().groupOf(token);
    if (group < 0 || !m_sample)
        return;
    m_cursor = group;
    if (m_selection) {
        // A key can only be looked up by queries at or after it.
        const std::int64_t last = std::max<std::int64_t>(0, m_sample->info.promptTokens - 1);
        const std::int64_t query = m_selection->query() >= 0 ? m_selection->query() : last;
        m_selection->setCell(std::max(query, token), token);
    }
    viewport()->update();
    describe();
}

GroupRange TokenView::selectedGroups() const
{
    if (m_anchor < 0 || m_cursor < 0)
        return {};
    return {std::min(m_anchor, m_cursor), std::max(m_anchor, m_cursor) + 1};
}

void TokenView::moveTo(int group, bool extend)
{
    if (text().groups().empty())
        return;
    group = std::clamp(group, 0, static_cast<int>(text().groups().size()) - 1);
    if (extend && m_anchor < 0)
        m_anchor = std::max(0, currentGroup());
    else if (!extend)
        m_anchor = -1;
    const std::int64_t token = text().groups()[static_cast<std::size_t>(group)].begin;
    activateToken(token);
    showToken(token);
    publishRange();
}

void TokenView::publishRange()
{
    viewport()->update();
    if (!m_selection)
        return;
    const GroupRange marked = selectedGroups();
    const auto groups = text().groups();
    m_selection->setRange(marked.begin == marked.end ? TokenRange{}
                                                     : TokenRange{groups[static_cast<std::size_t>(marked.begin)].begin,
                                                         groups[static_cast<std::size_t>(marked.end - 1)].end});
}

void TokenView::adoptRange()
{
    const TokenRange range = m_selection->range();
    const int first = range.size() > 0 ? text().groupOf(range.begin) : -1;
    const int last = range.size() > 0 ? text().groupOf(range.end - 1) : -1;
    const GroupRange marked = selectedGroups();
    if (first < 0 || last < 0) {
        m_anchor = -1;
    } else if (marked.begin != first || marked.end != last + 1) {
        m_anchor = first;
        m_cursor = last;
        showToken(range.begin);
    }
    viewport()->update();
}

void TokenView::keyPressEvent(QKeyEvent* event)
{
    const bool extend = event->modifiers().testFlag(Qt::ShiftModifier);
    const bool control = event->modifiers().testFlag(Qt::ControlModifier);
    const int current = std::max(0, currentGroup());
    const int line = m_layout.lineOf(current);
    const auto toLine = [&](int target) {
        const int fragment = m_layout.firstFragmentOf(current);
        if (fragment < 0 || m_layout.lineCount() == 0)
            return;
        const double x = m_layout.fragments()[static_cast<std::size_t>(fragment)].x;
        if (const TokenFragment* found = m_layout.fragmentAt(std::clamp(target, 0, m_layout.lineCount() - 1), x + 1.0))
            moveTo(found->group, extend);
    };
    const int page = std::max(1, viewport()->height() / lineHeight() - 1);
    const std::span<const TokenFragment> fragments = m_layout.line(line);

    if (event->matches(QKeySequence::Copy))
        copySurvivors();
    else if (event->matches(QKeySequence::SelectAll))
        selectAll();
    else if (control && extend && event->key() == Qt::Key_C)
        copyEverything();
    else if (event->key() == Qt::Key_Left)
        moveTo(currentGroup() < 0 ? 0 : current - 1, extend);
    else if (event->key() == Qt::Key_Right)
        moveTo(currentGroup() < 0 ? 0 : current + 1, extend);
    else if (event->key() == Qt::Key_Up)
        toLine(line - 1);
    else if (event->key() == Qt::Key_Down)
        toLine(line + 1);
    else if (event->key() == Qt::Key_PageUp)
        toLine(line - page);
    else if (event->key() == Qt::Key_PageDown)
        toLine(line + page);
    else if (event->key() == Qt::Key_Home && (control || fragments.empty()))
        moveTo(0, extend);
    else if (event->key() == Qt::Key_End && (control || fragments.empty()))
        moveTo(static_cast<int>(text().groups().size()) - 1, extend);
    else if (event->key() == Qt::Key_Home)
        moveTo(fragments.front().group, extend);
    else if (event->key() == Qt::Key_End)
        moveTo(fragments.back().group, extend);
    else if (event->key() == Qt::Key_Escape && m_anchor >= 0) {
        m_anchor = -1;
        publishRange();
    } else {
        // Everything else belongs to the window's shortcuts; the scroll area would swallow some of it.
        event->ignore();
        return;
    }
    event->accept();
}

void TokenView::mousePressEvent(QMouseEvent* event)
{
    if (event->button() != Qt::LeftButton)
        return;
    m_pressed = groupAt(event->pos());
    if (event->modifiers().testFlag(Qt::ShiftModifier) && m_pressed >= 0) {
        if (m_anchor < 0)
            m_anchor = std::max(0, currentGroup());
        m_cursor = m_pressed;
    } else {
        m_anchor = -1;
    }
    publishRange();
}

void TokenView::mouseMoveEvent(QMouseEvent* event)
{
    const int group = text().groupOf(tokenAt(event->pos()));
    if (group != m_hovered) {
        m_hovered = group;
        viewport()->update();
    }
    if (!event->buttons().testFlag(Qt::LeftButton) || m_pressed < 0)
        return;
    const int under = groupAt(event->pos());
    if (under >= 0 && (under != m_pressed || m_anchor >= 0)) {
        m_anchor = m_anchor < 0 ? m_pressed : m_anchor;
        m_cursor = under;
        showToken(text().groups()[static_cast<std::size_t>(under)].begin);
        publishRange();
    }
}

void TokenView::mouseReleaseEvent(QMouseEvent* event)
{
    if (event->button() == Qt::LeftButton && m_pressed >= 0 && m_anchor < 0) {
        const std::int64_t token = tokenAt(event->pos());
        if (token >= 0)
            activateToken(token);
    }
    m_pressed = -1;
}

bool TokenView::viewportEvent(QEvent* event)
{
    if (event->type() == QEvent::ToolTip) {
        const auto* help = static_cast<QHelpEvent*>(event);
        const std::int64_t token = tokenAt(help->pos());
        if (token >= 0)
            QToolTip::showText(help->globalPos(), toolTipOf(token), viewport(), tokenRect(token));
        else
            QToolTip::hideText();
        return true;
    }
    if (event->type() == QEvent::Leave && m_hovered >= 0) {
        m_hovered = -1;
        viewport()->update();
    }
    return QAbstractScrollArea::viewportEvent(event);
}

void TokenView::contextMenuEvent(QContextMenuEvent* event)
{
    QMenu menu(this);
    const bool hasText = !text().groups().empty();
    menu.addAction(tr("Copy What &Survived"), QKeySequence::Copy, this, &TokenView::copySurvivors)->setEnabled(hasText);
    menu.addAction(
            tr("Copy &Everything"), QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_C), this, &TokenView::copyEverything)
        ->setEnabled(hasText);
    menu.addSeparator();
    menu.addAction(tr("Select &All"), QKeySequence::SelectAll, this, &TokenView::selectAll)->setEnabled(hasText);
    menu.exec(event->globalPos());
}

void TokenView::focusInEvent(QFocusEvent* event)
{
    QAbstractScrollArea::focusInEvent(event);
    viewport()->update();
}

void TokenView::focusOutEvent(QFocusEvent* event)
{
    QAbstractScrollArea::focusOutEvent(event);
    viewport()->update();
}

QString TokenView::toolTipOf(std::int64_t token) const
{
    const TokenGroup& group = text().groups()[static_cast<std::size_t>(text().groupOf(token))];
    const auto index = static_cast<std::size_t>(token);
    QStringList lines;
    lines << (group.end - group.begin == 1
            ? tr("token %1 \u201C%2\u201D").arg(token).arg(text().label(token, 40).toHtmlEscaped())
            : tr("tokens %1 to %2 \u201C%3\u201D, parts of one character")
                  .arg(group.begin)
                  .arg(group.end - 1)
                  .arg(text().label(token, 40).toHtmlEscaped()));
    if (index < m_sample->text.ids.size())
        lines << tr("id %1").arg(m_sample->text.ids[index]);
    if (index < m_sample->text.nll.size() && std::isfinite(m_sample->text.nll[index]))
        lines << tr("surprise %1 nats").arg(static_cast<double>(m_sample->text.nll[index]), 0, 'f', 3);
    if (const Section* section = sectionOf(token))
        lines << section->name;
    if (!m_dropped.empty() && token < m_sample->info.promptTokens)
        lines << (isDropped(token) ? tr("dropped") : tr("kept"));
    if (!m_votes.isEmpty() && index < m_votes.counts.size())
        lines << tr("kept by %1 of %2 heads").arg(m_votes.counts[index]).arg(m_votes.heads);
    return lines.join(QStringLiteral("<br>"));
}

void TokenView::describe()
{
    const std::int64_t token = currentToken();
    if (token < 0) {
        setAccessibleDescription(tr("%n tokens", nullptr, static_cast<int>(text().tokenCount())));
        return;
    }
    const QString fate = m_dropped.empty() ? QString() : isDropped(token) ? tr(", dropped") : tr(", kept");
    setAccessibleDescription(tr("token %1 \u201C%2\u201D%3").arg(token).arg(text().label(token), fate));
}

QString TokenView::find(const QString& pattern, FindMode mode)
{
    m_currentMatch = -1;
    TokenMatches found = findInText(text(), pattern, mode);
    m_matches = std::move(found.ranges);
    if (!m_matches.empty()) {
        const int from = std::max(0, currentGroup());
        const auto next = std::ranges::find_if(m_matches, [from](const GroupRange& match) { return match.end > from; });
        m_currentMatch = next == m_matches.end() ? 0 : static_cast<int>(next - m_matches.begin());
        showToken(
            text().groups()[static_cast<std::size_t>(m_matches[static_cast<std::size_t>(m_currentMatch)].begin)].begin);
    }
    viewport()->update();
    emit matchesChanged(m_currentMatch, matchCount());
    return found.problem;
}

void TokenView::goToMatch(int step)
{
    if (m_matches.empty())
        return;
    const int count = matchCount();
    m_currentMatch = ((m_currentMatch + step) % count + count) % count;
    const int group = m_matches[static_cast<std::size_t>(m_currentMatch)].begin;
    m_anchor = -1;
    const std::int64_t token = text().groups()[static_cast<std::size_t>(group)].begin;
    activateToken(token);
    showToken(token);
    emit matchesChanged(m_currentMatch, count);
}

bool TokenView::isMatch(int group) const
{
    const auto next = std::ranges::upper_bound(m_matches, group, {}, &GroupRange::begin);
    return next != m_matches.begin() && std::prev(next)->end > group;
}

void TokenView::paintEvent(QPaintEvent* event)
{
    QPainter painter(viewport());
    const int height = lineHeight();
    const int offset = verticalScrollBar()->value() - textMargin;
    const int first = std::max(0, (event->rect().top() + offset) / height);
    const int last = std::min(m_layout.lineCount() - 1, (event->rect().bottom() + offset) / height);
    if (text().groups().empty()) {
        painter.setPen(palette().color(QPalette::PlaceholderText));
        painter.drawText(viewport()->rect(), Qt::AlignCenter, tr("No prompt"));
        return;
    }
    paintGutter(painter, first, last, first * height - offset);
    for (int line = first; line <= last; ++line)
        paintLine(painter, line, line * height - offset);
}

void TokenView::paintGutter(QPainter& painter, int firstLine, int lastLine, double top) const
{
    if (m_sections.empty())
        return;
    const int height = lineHeight();
    const double gutter = gutterWidth();
    const QColor base = palette().color(QPalette::Base);
    const QColor foreground = palette().color(QPalette::Text);
    const QColor accent = palette().color(QPalette::Highlight);
    const Section* named = nullptr;
    for (int line = firstLine; line <= lastLine; ++line) {
        const std::span<const TokenFragment> fragments = m_layout.line(line);
        if (fragments.empty())
            continue;
        // A line in which a section begins is named after that section. A token that goes on from the line before
        // begins nothing here.
        const TokenGroup& first = text().groups()[static_cast<std::size_t>(fragments.front().group)];
        const std::int64_t begin = m_layout.lineOf(fragments.front().group) == line ? first.begin : first.end;
        const std::int64_t end = text().groups()[static_cast<std::size_t>(fragments.back().group)].end;
        const Section* section = sectionOf(std::min(begin, first.end - 1));
        const auto starts
            = std::ranges::find_if(m_sections, [&](const Section& s) { return s.begin >= begin && s.begin < end; });
        const bool boundary = starts != m_sections.end();
        if (boundary && (!section || starts->begin > begin))
            section = &*starts;
        const double y = top + (line - firstLine) * height;
        if (section) {
            const bool odd = section->shot >= 0 && section->shot % 2 == 1;
            painter.fillRect(QRectF(gutter - textMargin * 0.75, y, 3.0, height),
                section->shot >= 0 ? blend(base, accent, odd ? 0.45 : 0.9) : blend(base, foreground, 0.35));
            if (section != named) {
                painter.setPen(blend(base, foreground, 0.7));
                painter.drawText(QRectF(textMargin * 0.5, y, gutter - textMargin * 1.5, height),
                    Qt::AlignVCenter | Qt::AlignRight, section->name);
            }
        }
        if (boundary && section && section->shot >= 0) {
            painter.setPen(QPen(blend(base, accent, 0.5), 0.0, Qt::DashLine));
            painter.drawLine(QPointF(0.0, y + 0.5), QPointF(viewport()->width(), y + 0.5));
        }
        named = section;
    }
}

void TokenView::paintLine(QPainter& painter, int lineNumber, double top) const
{
    const int height = lineHeight();
    const double left = gutterWidth();
    const QFontMetricsF metrics(font());
    const double baseline = top + (height - metrics.height()) / 2.0 + metrics.ascent();
    const double middle = baseline - metrics.xHeight() / 2.0;
    const QColor base = palette().color(QPalette::Base);
    const QColor foreground = palette().color(QPalette::Text);
    const QColor faded = blend(foreground, base, 0.5);
    const QColor found = isDark(palette()) ? QColor(0x7A, 0x5C, 0x00) : QColor(0xFF, 0xE5, 0x8A);
    const QColor accent = palette().color(QPalette::Highlight);
    const GroupRange selected = selectedGroups();
    const int key = m_selection ? text().groupOf(m_selection->key()) : -1;
    const int query = m_selection ? text().groupOf(m_selection->query()) : -1;
    const GroupRange match = m_currentMatch >= 0 ? m_matches[static_cast<std::size_t>(m_currentMatch)] : GroupRange{};

    for (const TokenFragment& fragment : m_layout.line(lineNumber)) {
        const QRectF box(left + fragment.x, top + 1.0, fragment.width, height - 2.0);
        const int group = fragment.group;
        const Fate fate = fateOf(group);
        const bool isSelected = group >= selected.begin && group < selected.end;
        if (isSelected)
            painter.fillRect(box.adjusted(0.0, -1.0, 0.0, 1.0), accent);
        else if (isMatch(group))
            painter.fillRect(box, group >= match.begin && group < match.end ? blend(found, accent, 0.3) : found);
        else if (group == m_hovered)
            painter.fillRect(box, blend(base, accent, 0.2));
        if (text().groups()[static_cast<std::size_t>(group)].special) {
            painter.setPen(Qt::NoPen);
            painter.setBrush(blend(base, foreground, 0.12));
            painter.drawRoundedRect(box.adjusted(0.5, 1.0, -0.5, -1.0), 3.0, 3.0);
            painter.setBrush(Qt::NoBrush);
        }

        const QColor ink = isSelected ? palette().color(QPalette::HighlightedText)
            : fate == Fate::Kept      ? foreground
                                      : faded;
        painter.setPen(fragment.lineFeed ? blend(base, ink, 0.45) : ink);
        painter.drawText(QPointF(box.left(), baseline), fragment.text);
        if (fate != Fate::Kept) {
            painter.setPen(QPen(ink, 1.0, fate == Fate::Partly ? Qt::DotLine : Qt::SolidLine));
            painter.drawLine(QPointF(box.left(), middle), QPointF(box.right(), middle));
        }
        if (const double votes = m_votes.share(text().groups()[static_cast<std::size_t>(group)].begin); votes > 0.0) {
            const double weight = std::max(1.0, votes * heaviestUnderline);
            painter.fillRect(QRectF(box.left() + 0.5, baseline + 2.0, std::max(1.0, box.width() - 1.0), weight),
                isSelected ? ink : blend(base, accent, 0.35 + 0.65 * votes));
        }
        if (group == key || group == query) {
            // Two tones, so that the frame shows on any background; solid for the key, dashed for the query.
            painter.setPen(QPen(base, 3.0));
            painter.drawRect(box);
            painter.setPen(QPen(group == key ? accent : blend(foreground, accent, 0.4), 1.5,
                group == key ? Qt::SolidLine : Qt::DashLine));
            painter.drawRect(box);
        }
    }
}

} // namespace kvloupe
