// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/shots/shot_bar.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>

#include <algorithm>
#include <cmath>

namespace kvloupe {

namespace {

constexpr int margin = 6;
constexpr double grabDistance = 5.0; ///< pixels around a border

} // namespace

ShotBar::ShotBar(ShotsModel* model, QWidget* parent)
    : QWidget(parent)
    , m_model(model)
{
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    setAccessibleName(tr("Shots along the prompt"));
    setAccessibleDescription(tr("Up and down choose a border, left and right move it"));
    connect(m_model, &ShotsModel::changed, this, [this] {
        if (m_edge && m_edge->shot >= static_cast<int>(m_model->shots().size())) {
            m_edge.reset();
            m_dragged.reset();
        }
        updateGeometry();
        update();
    });
}

int ShotBar::stripHeight() const
{
    return fontMetrics().height() + 6;
}

QSize ShotBar::sizeHint() const
{
    return {500, 2 * margin + stripHeight() * (1 + static_cast<int>(m_model->methods().size()))};
}

double ShotBar::left() const
{
    int widest = 0;
    for (const ShotsModel::Method& method : m_model->methods())
        widest = std::max(widest, fontMetrics().horizontalAdvance(method.title));
    return widest + 2.0 * margin;
}

double ShotBar::xOf(std::int64_t token) const
{
    const double tokens = static_cast<double>(std::max<std::int64_t>(1, m_model->promptTokens()));
    return left() + (width() - margin - left()) * static_cast<double>(token) / tokens;
}

std::int64_t ShotBar::tokenAt(double x) const
{
    const double span = std::max(1.0, width() - margin - left());
    const auto token
        = static_cast<std::int64_t>(std::lround((x - left()) / span * static_cast<double>(m_model->promptTokens())));
    return std::clamp<std::int64_t>(token, 0, m_model->promptTokens());
}

const Shots& ShotBar::shotsOnShow() const
{
    return m_dragged ? *m_dragged : m_model->shots();
}

std::optional<ShotEdge> ShotBar::edgeNear(double x) const
{
    std::optional<ShotEdge> nearest;
    double distance = grabDistance;
    for (const ShotEdge& edge : edgesOf(m_model->shots())) {
        const double away = std::abs(xOf(positionOf(m_model->shots(), edge)) - x);
        if (away < distance) {
            distance = away;
            nearest = edge;
        }
    }
    return nearest;
}

void ShotBar::paintEvent(QPaintEvent* /*event*/)
{
    QPainter painter(this);
    painter.fillRect(rect(), palette().color(QPalette::Base));
    if (m_model->promptTokens() == 0)
        return;
    paintShots(painter);
    int top = margin + stripHeight();
    for (const ShotsModel::Method& method : m_model->methods()) {
        paintMethod(painter, method, top);
        top += stripHeight();
    }
    if (hasFocus()) {
        painter.setPen(QPen(palette().color(QPalette::Highlight), 1.0));
        painter.setBrush(Qt::NoBrush);
        painter.drawRect(rect().adjusted(0, 0, -1, -1));
    }
}

void ShotBar::paintShots(QPainter& painter) const
{
    const Shots& shots = shotsOnShow();
    const QColor accent = palette().color(QPalette::Highlight);
    const QColor text = palette().color(QPalette::Text);
    for (std::size_t shot = 0; shot < shots.size(); ++shot) {
        const QRectF box(
            xOf(shots[shot].begin), margin, xOf(shots[shot].end) - xOf(shots[shot].begin), stripHeight() - 3);
        QColor fill = accent;
        fill.setAlpha(shot % 2 == 0 ? 70 : 40);
        painter.fillRect(box, fill);
        const QString number = QString::number(shot + 1);
        painter.setPen(text);
        if (fontMetrics().horizontalAdvance(number) + 4 < box.width())
            painter.drawText(box, Qt::AlignCenter, number);
    }
    for (const ShotEdge& edge : edgesOf(shots)) {
        const double x = xOf(positionOf(shots, edge));
        const bool isCurrent = m_edge == edge && (hasFocus() || m_dragged);
        // Two tones, so that a border shows on any colour.
        painter.setPen(QPen(palette().color(QPalette::Base), isCurrent ? 5.0 : 3.0));
        painter.drawLine(QPointF(x, 2.0), QPointF(x, height() - 2.0));
        painter.setPen(QPen(isCurrent ? accent : text, isCurrent ? 3.0 : 1.0));
        painter.drawLine(QPointF(x, 2.0), QPointF(x, height() - 2.0));
    }
}

void ShotBar::paintMethod(QPainter& painter, const ShotsModel::Method& method, int top) const
{
    const QColor base = palette().color(QPalette::Base);
    painter.setPen(palette().color(QPalette::Text));
    painter.drawText(
        QRectF(0.0, top, left() - margin, stripHeight() - 3), Qt::AlignRight | Qt::AlignVCenter, method.title);
    const int first = static_cast<int>(std::ceil(left()));
    const int last = width() - margin;
    if (!method.isReady || last <= first)
        return;
    // One row of pixels, so that the cost is the width of the widget and the length of the prompt.
    QImage strip(last - first, 1, QImage::Format_RGB32);
    strip.fill(base);
    const auto tokens = m_model->promptTokens();
    for (int x = 0; x < strip.width(); ++x) {
        const std::int64_t begin = x * tokens / strip.width();
        const std::int64_t end = std::max(begin + 1, (x + 1) * tokens / strip.width());
        double votes = 0.0;
        for (std::int64_t token = begin; token < end; ++token)
            votes += method.votes.share(token);
        const double share = votes / static_cast<double>(end - begin);
        const auto mix
            = [share](int from, int to) { return static_cast<int>(std::lround(from + (to - from) * share)); };
        strip.setPixelColor(x, 0,
            QColor(mix(base.red(), method.color.red()), mix(base.green(), method.color.green()),
                mix(base.blue(), method.color.blue())));
    }
    const QRectF target(first, top, last - first, stripHeight() - 3);
    painter.drawImage(target, strip);
    for (std::size_t shot = 0; shot < method.fates.size(); ++shot) {
        if (method.fates[shot].broken < 0.5)
            continue;
        const TokenRange& range = m_model->shots()[shot];
        const QRectF box(
            xOf(range.begin) + 2.0, top + 1.0, xOf(range.end) - xOf(range.begin) - 4.0, stripHeight() - 5.0);
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(base, 2.0));
        painter.drawRect(box);
        painter.setPen(QPen(palette().color(QPalette::Text), 1.0, Qt::DashLine));
        painter.drawRect(box);
    }
}

void ShotBar::mousePressEvent(QMouseEvent* event)
{
    if (event->button() != Qt::LeftButton)
        return;
    m_edge = edgeNear(event->position().x());
    if (m_edge)
        m_dragged = m_model->shots();
    else if (const int shot = shotAt(m_model->shots(), tokenAt(event->position().x())); shot >= 0)
        emit shotClicked(shot);
    update();
}

void ShotBar::mouseMoveEvent(QMouseEvent* event)
{
    if (m_dragged) {
        m_dragged = moveEdge(m_model->shots(), *m_edge, tokenAt(event->position().x()), m_model->promptTokens());
        update();
        return;
    }
    setCursor(edgeNear(event->position().x()) ? Qt::SplitHCursor : Qt::ArrowCursor);
}

void ShotBar::mouseReleaseEvent(QMouseEvent* event)
{
    if (event->button() != Qt::LeftButton || !m_dragged)
        return;
    const Shots moved = *std::exchange(m_dragged, std::nullopt);
    update();
    if (moved != m_model->shots())
        emit editRequested(moved, tr("Move Border"));
}

void ShotBar::keyPressEvent(QKeyEvent* event)
{
    const std::vector<ShotEdge> edges = edgesOf(m_model->shots());
    if (event->key() == Qt::Key_Escape && m_dragged) {
        m_dragged.reset();
        update();
        return;
    }
    const bool moves = event->key() == Qt::Key_Left || event->key() == Qt::Key_Right;
    const bool chooses = event->key() == Qt::Key_Up || event->key() == Qt::Key_Down;
    if (edges.empty() || !(moves || chooses)) {
        QWidget::keyPressEvent(event);
        return;
    }
    const auto current = m_edge ? std::ranges::find(edges, *m_edge) : edges.end();
    if (current == edges.end()) {
        m_edge = edges.front();
    } else if (chooses) {
        const auto index = static_cast<int>(current - edges.begin()) + (event->key() == Qt::Key_Up ? -1 : 1);
        m_edge = edges[static_cast<std::size_t>(std::clamp(index, 0, static_cast<int>(edges.size()) - 1))];
    } else {
        const int step = event->modifiers().testFlag(Qt::ShiftModifier) ? 10 : 1;
        const std::int64_t position
            = positionOf(m_model->shots(), *m_edge) + (event->key() == Qt::Key_Left ? -step : step);
        const Shots moved = moveEdge(m_model->shots(), *m_edge, position, m_model->promptTokens());
        if (moved != m_model->shots())
            emit editRequested(moved, tr("Move Border"));
    }
    setAccessibleDescription(tr("border at token %1").arg(positionOf(m_model->shots(), *m_edge)));
    update();
}

bool ShotBar::event(QEvent* event)
{
    if (event->type() != QEvent::ToolTip)
        return QWidget::event(event);
    const auto* help = static_cast<QHelpEvent*>(event);
    const std::int64_t token = tokenAt(help->pos().x());
    const int shot = shotAt(m_model->shots(), token);
    QStringList lines{
        shot < 0 ? tr("token %1, in no shot").arg(token) : tr("token %1, shot %2").arg(token).arg(shot + 1)};
    for (const ShotsModel::Method& method : m_model->methods()) {
        if (method.isReady)
            lines << tr("%1: kept by %2 of %3 heads")
                         .arg(method.title)
                         .arg(std::lround(method.votes.share(token) * method.votes.heads))
                         .arg(method.votes.heads);
    }
    QToolTip::showText(help->globalPos(), lines.join(QLatin1Char('\n')), this);
    return true;
}

} // namespace kvloupe
