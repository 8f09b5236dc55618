// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/timeline/timeline_bars.h"

#include "views/timeline/life_image.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>
#include <QWheelEvent>

#include <algorithm>
#include <cmath>
#include <vector>

namespace kvloupe {

namespace {

constexpr int gap = 6;
constexpr int lostWidth = 70;
constexpr double fewestTokens = 8.0; ///< in view at the deepest zoom

} // namespace

TimelineBars::TimelineBars(Selection* selection, TimelineModel* model, QWidget* parent)
    : QWidget(parent)
    , m_selection(selection)
    , m_model(model)
{
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    setAccessibleName(tr("Life of every token in the cache"));
    connect(m_model, &TimelineModel::changed, this, [this] {
        const HeadLife* life = m_model->life();
        const double tokens = life ? static_cast<double>(life->tokens()) : 0.0;
        if (m_end > tokens || m_end <= m_begin)
            m_begin = m_end = 0.0;
        if (m_end == 0.0)
            m_end = tokens;
        m_image = {};
        update();
    });
    connect(m_selection, &Selection::stepChanged, this, [this] { update(); });
    connect(m_selection, &Selection::cellChanged, this, [this] { update(); });
}

QRectF TimelineBars::area() const
{
    const double left = fontMetrics().horizontalAdvance(QStringLiteral("0000")) + 2.0 * gap;
    const double bottom = fontMetrics().height() + gap;
    return {left, gap, std::max(1.0, width() - left - lostWidth - 2.0 * gap), std::max(1.0, height() - bottom - gap)};
}

QRectF TimelineBars::lostArea() const
{
    const QRectF bars = area();
    return {bars.right() + gap, bars.top(), lostWidth, bars.height()};
}

QPointF TimelineBars::pixelOf(std::int64_t token, std::int64_t step) const
{
    const QRectF bars = area();
    const HeadLife* life = m_model->life();
    const double rows = life ? static_cast<double>(life->steps + 1) : 1.0;
    return {bars.left() + (static_cast<double>(token) + 0.5 - m_begin) / std::max(1e-9, m_end - m_begin) * bars.width(),
        bars.top() + (static_cast<double>(step) + 0.5) / rows * bars.height()};
}

std::int64_t TimelineBars::tokenAt(double x) const
{
    const QRectF bars = area();
    const HeadLife* life = m_model->life();
    if (!life || x < bars.left() || x > bars.right())
        return -1;
    const auto token
        = static_cast<std::int64_t>(std::floor(m_begin + (x - bars.left()) / bars.width() * (m_end - m_begin)));
    return std::clamp<std::int64_t>(token, 0, life->tokens() - 1);
}

std::int64_t TimelineBars::stepAt(double y) const
{
    const QRectF bars = area();
    const HeadLife* life = m_model->life();
    if (!life)
        return 0;
    const auto step = static_cast<std::int64_t>(
        std::floor((y - bars.top()) / bars.height() * static_cast<double>(life->steps + 1)));
    return std::clamp<std::int64_t>(step, 0, life->steps);
}

void TimelineBars::setView(double begin, double end)
{
    const HeadLife* life = m_model->life();
    const double tokens = life ? static_cast<double>(life->tokens()) : 0.0;
    const double span = std::clamp(end - begin, std::min(fewestTokens, tokens), tokens);
    m_begin = std::clamp(begin, 0.0, tokens - span);
    m_end = m_begin + span;
    m_image = {};
    update();
}

void TimelineBars::showToken(std::int64_t token)
{
    const auto position = static_cast<double>(token);
    if (position >= m_begin && position + 1.0 <= m_end)
        return;
    const double span = m_end - m_begin;
    setView(position - span / 2.0, position + span / 2.0);
}

void TimelineBars::paintEvent(QPaintEvent* /*event*/)
{
    QPainter painter(this);
    painter.fillRect(rect(), palette().color(QPalette::Base));
    const HeadLife* life = m_model->life();
    if (!life) {
        painter.setPen(palette().color(QPalette::PlaceholderText));
        painter.drawText(rect().adjusted(gap, gap, -gap, -gap), Qt::AlignCenter | Qt::TextWordWrap,
            m_model->problem().isEmpty() ? tr("Nothing is replayed yet") : m_model->problem());
        return;
    }
    const QRectF bars = area();
    if (m_image.isNull())
        m_image = lifeImage(*life, m_begin, m_end, {static_cast<int>(bars.width()), static_cast<int>(bars.height())},
            palette().color(QPalette::Base));
    painter.drawImage(bars, m_image);
    painter.setPen(palette().color(QPalette::Mid));
    painter.drawRect(bars);
    paintAxes(painter, *life);
    paintLost(painter, *life);
    paintMarks(painter, *life);
    if (hasFocus()) {
        painter.setPen(palette().color(QPalette::Highlight));
        painter.drawRect(rect().adjusted(0, 0, -1, -1));
    }
}

void TimelineBars::paintAxes(QPainter& painter, const HeadLife& life) const
{
    const QRectF bars = area();
    const int line = fontMetrics().height();
    painter.setPen(palette().color(QPalette::Text));
    const auto stepLabel = [&](std::int64_t step) {
        const double y = std::clamp(pixelOf(0, step).y() - line / 2.0, bars.top(), bars.bottom() - line);
        painter.drawText(
            QRectF(0.0, y, bars.left() - gap, line), Qt::AlignRight | Qt::AlignVCenter, QString::number(step));
    };
    stepLabel(0);
    if (life.steps > 0 && bars.height() > 2.5 * line)
        stepLabel(life.steps);
    const QRectF below(bars.left(), bars.bottom() + 2.0, bars.width(), line);
    painter.drawText(
        below, Qt::AlignLeft | Qt::AlignVCenter, QString::number(static_cast<qint64>(std::floor(m_begin))));
    painter.drawText(below, Qt::AlignCenter, tr("token"));
    painter.drawText(below, Qt::AlignRight | Qt::AlignVCenter, QString::number(static_cast<qint64>(std::ceil(m_end))));
    // Where the prompt ends.
    if (const double x = pixelOf(life.promptTokens, 0).x() - bars.width() / (m_end - m_begin) / 2.0;
        life.steps > 0 && x > bars.left() && x < bars.right()) {
        painter.setPen(QPen(palette().color(QPalette::Text), 1.0, Qt::DotLine));
        painter.drawLine(QPointF(x, bars.top()), QPointF(x, bars.bottom()));
    }
}

void TimelineBars::paintLost(QPainter& painter, const HeadLife& life) const
{
    const QRectF lost = lostArea();
    painter.setPen(palette().color(QPalette::Text));
    painter.drawText(QRectF(lost.left() - gap, lost.bottom() + 2.0, lost.width() + 2.0 * gap, fontMetrics().height()),
        Qt::AlignCenter, tr("missed"));
    if (!life.missed || life.steps == 0)
        return;
    painter.setPen(palette().color(QPalette::Mid));
    painter.drawLine(lost.topLeft(), lost.bottomLeft());
    const double row = lost.height() / static_cast<double>(life.steps + 1);
    for (std::int64_t step = 1; step <= life.steps; ++step) {
        const double mass = static_cast<double>(life.missed->lostMass[static_cast<std::size_t>(step - 1)]);
        painter.fillRect(QRectF(lost.left(), lost.top() + row * static_cast<double>(step), lost.width() * mass,
                             std::max(1.0, row - (row > 3.0 ? 1.0 : 0.0))),
            life.color);
    }
}

void TimelineBars::paintMarks(QPainter& painter, const HeadLife& life) const
{
    const QRectF bars = area();
    const QColor base = palette().color(QPalette::Base);
    const QColor text = palette().color(QPalette::Text);
    const auto twoTone = [&](const QLineF& line, Qt::PenStyle style) {
        painter.setPen(QPen(base, 3.0));
        painter.drawLine(line);
        painter.setPen(QPen(text, 1.0, style));
        painter.drawLine(line);
    };
    const double y = pixelOf(0, std::min(m_selection->step(), life.steps)).y();
    twoTone({bars.left(), y, lostArea().right(), y}, Qt::SolidLine);
    const std::int64_t token = m_selection->key();
    if (token < 0 || token >= life.tokens() || static_cast<double>(token) < m_begin
        || static_cast<double>(token) >= m_end)
        return;
    const double x = pixelOf(token, 0).x();
    twoTone({x, bars.top(), x, bars.bottom()}, Qt::DashLine);
    const auto mark = [&](std::int64_t step, bool isDeath) {
        const QPointF at = pixelOf(token, step);
        painter.setPen(QPen(base, 4.0));
        for (const bool outline : {true, false}) {
            painter.setPen(QPen(outline ? base : text, outline ? 4.0 : 2.0));
            if (isDeath) {
                painter.drawLine(at + QPointF(-4, -4), at + QPointF(4, 4));
                painter.drawLine(at + QPointF(-4, 4), at + QPointF(4, -4));
            } else {
                painter.setBrush(Qt::NoBrush);
                painter.drawEllipse(at, 5.0, 5.0);
            }
        }
    };
    if (const std::int64_t gone = life.death(token); gone >= 0) {
        mark(gone, true);
        if (life.missed && life.missed->wantedAt[static_cast<std::size_t>(token)] > 0)
            mark(life.missed->wantedAt[static_cast<std::size_t>(token)], false);
    }
}

void TimelineBars::resizeEvent(QResizeEvent* event)
{
    QWidget::resizeEvent(event);
    m_image = {};
}

void TimelineBars::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::PaletteChange || event->type() == QEvent::FontChange)
        m_image = {};
}

void TimelineBars::choose(std::int64_t token, std::int64_t step)
{
    const HeadLife* life = m_model->life();
    if (!life)
        return;
    m_selection->setStep(std::clamp<std::int64_t>(step, 0, life->steps));
    if (token >= 0 && token < life->tokens()) {
        m_selection->setCell(std::max(m_selection->query(), token), token);
        showToken(token);
    }
    setAccessibleDescription(life->tokenText(m_selection->key()));
}

void TimelineBars::mousePressEvent(QMouseEvent* event)
{
    if (event->button() != Qt::LeftButton)
        return;
    m_pressed = event->position();
    m_pressedBegin = m_begin;
    m_isDragging = false;
}

void TimelineBars::mouseMoveEvent(QMouseEvent* event)
{
    if (!event->buttons().testFlag(Qt::LeftButton))
        return;
    const double moved = event->position().x() - m_pressed.x();
    m_isDragging = m_isDragging || std::abs(moved) > 4.0;
    if (m_isDragging) {
        const double span = m_end - m_begin;
        const double begin = m_pressedBegin - moved / area().width() * span;
        setView(begin, begin + span);
    }
}

void TimelineBars::mouseReleaseEvent(QMouseEvent* event)
{
    if (event->button() == Qt::LeftButton && !m_isDragging)
        choose(tokenAt(event->position().x()), stepAt(event->position().y()));
    m_isDragging = false;
}

void TimelineBars::mouseDoubleClickEvent(QMouseEvent* /*event*/)
{
    if (const HeadLife* life = m_model->life())
        setView(0.0, static_cast<double>(life->tokens()));
    m_isDragging = true; // the release that follows chooses nothing
}

void TimelineBars::wheelEvent(QWheelEvent* event)
{
    if (!m_model->life())
        return;
    const QRectF bars = area();
    const double at
        = m_begin + std::clamp((event->position().x() - bars.left()) / bars.width(), 0.0, 1.0) * (m_end - m_begin);
    const double factor = std::pow(0.8, event->angleDelta().y() / 120.0);
    setView(at - (at - m_begin) * factor, at + (m_end - at) * factor);
    event->accept();
}

void TimelineBars::keyPressEvent(QKeyEvent* event)
{
    const HeadLife* life = m_model->life();
    const std::int64_t token = m_selection->key();
    const std::int64_t step = m_selection->step();
    if (!life)
        event->ignore();
    else if (event->key() == Qt::Key_Left)
        choose(std::max<std::int64_t>(0, token - 1), step);
    else if (event->key() == Qt::Key_Right)
        choose(std::min(life->tokens() - 1, token + 1), step);
    else if (event->key() == Qt::Key_Up)
        choose(token, step - 1);
    else if (event->key() == Qt::Key_Down)
        choose(token, step + 1);
    else if (event->key() == Qt::Key_Home)
        choose(token, 0);
    else if (event->key() == Qt::Key_End)
        choose(token, life->steps);
    else
        QWidget::keyPressEvent(event);
}

bool TimelineBars::event(QEvent* event)
{
    if (event->type() != QEvent::ToolTip)
        return QWidget::event(event);
    const auto* help = static_cast<QHelpEvent*>(event);
    const HeadLife* life = m_model->life();
    const std::int64_t token = tokenAt(help->pos().x());
    if (!life)
        QToolTip::hideText();
    else if (token >= 0)
        QToolTip::showText(help->globalPos(), life->tokenText(token), this);
    else
        QToolTip::showText(help->globalPos(),
            life->stepText(stepAt(help->pos().y()))
                + tr("\nMissed = attention of the step's query, under full attention, on tokens that are gone or "
                     "hidden"),
            this);
    return true;
}

} // namespace kvloupe
