// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heads/head_wall.h"

#include "core/recording/recording.h"
#include "views/heatmap/map_image.h"

#include <QFontMetrics>
#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QScrollBar>
#include <QToolTip>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

namespace kvloupe {
namespace {

constexpr int gap = 3;
constexpr int smallestThumbnail = 16;
constexpr int largestThumbnail = 128;
constexpr int smallestAutomatic = 28;
constexpr int largestAutomatic = 72;

struct Place {
    int row = -1; // index into the recorded layers
    int head = -1;

    bool operator==(const Place&) const = default;
};

} // namespace

struct HeadWall::State {
    enum class Loading { Waiting, Requested, Done, Failed };

    struct Row {
        int layer = 0;
        Loading loading = Loading::Waiting;
        std::vector<Half> overview; // [heads, edge, edge]
        std::vector<QImage> images; // per head, made when first painted
        QString error;
    };

    State(HeadWall* owner, Selection* chosen)
        : wall(owner)
        , selection(chosen)
    {
    }

    int heads() const { return sample ? sample->model.numHeads : 0; }
    int step() const { return size + gap; }
    QPoint scrolled() const { return {wall->horizontalScrollBar()->value(), wall->verticalScrollBar()->value()}; }
    QRect rectOf(Place place) const;
    int indexOf(Place place) const { return place.row * heads() + place.head; }
    int columns() const { return std::max(1, order ? (wall->viewport()->width() - gap) / step() : heads()); }
    /// Height of one line of thumbnails, with their names where they are not in rows by layer.
    int lineHeight() const { return order ? step() + QFontMetrics(wall->font()).height() : step(); }
    void setOrder(std::optional<std::vector<int>> newOrder);
    Place placeAt(const QPoint& position) const;
    Place placeOf(int layer, int head) const;
    void reload();
    void requestNext();
    void receive(int row, std::uint64_t generation, TileReply<std::vector<Half>> reply);
    const QImage& image(Row& row, int head);
    void forgetImages();
    void updateGeometry();
    void moveFocus(int rows, int columns);
    void choose(Place place);
    void toggle(Place place);
    void ensureVisible(Place place);
    bool isLoaded() const;
    QString toolTip(Place place) const;
    void paintFrame(QPainter& painter, const QRect& rect) const;
    void paintHeaders(QPainter& painter) const;
    void paintThumbnail(QPainter& painter, Row& row, int head, const QRect& rect);
    /// What is said of a head besides its map: name, bar, whether it was picked.
    void paintMarks(QPainter& painter, int layer, int head, const QRect& rect) const;

    HeadWall* wall;
    Selection* selection;
    SampleModelPtr sample;
    std::shared_ptr<TileSource> tiles;
    std::vector<Row> rows;
    Pooling pooling = Pooling::Max;
    std::shared_ptr<const ColorTable> colors
        = std::make_shared<ColorTable>(ColorMap::Viridis, ColorScale::Logarithmic, ColorRange{});
    std::shared_ptr<std::atomic<std::uint64_t>> generation = std::make_shared<std::atomic<std::uint64_t>>(0);
    int fixedSize = 0; // 0 = as wide as the wall allows
    int size = smallestAutomatic;
    QSize header;
    Place focus;
    std::optional<std::vector<int>> order; ///< heads by index, as they are shown
    std::vector<int> slotOfHead; ///< place in `order` of each head, -1 = hidden
    std::vector<bool> matches;
    std::vector<double> bars;
    QColor barColor;
};

QRect HeadWall::State::rectOf(Place place) const
{
    int line = place.row;
    int column = place.head;
    if (order) {
        const int slot = slotOfHead[static_cast<std::size_t>(indexOf(place))];
        if (slot < 0)
            return {};
        line = slot / columns();
        column = slot % columns();
    }
    return QRect(header.width() + gap + column * step(), header.height() + gap + line * lineHeight(), size, size)
        .translated(-scrolled());
}

void HeadWall::State::setOrder(std::optional<std::vector<int>> newOrder)
{
    const auto count = rows.size() * static_cast<std::size_t>(heads());
    if (newOrder)
        std::erase_if(*newOrder, [count](int head) { return head < 0 || static_cast<std::size_t>(head) >= count; });
    if (order == newOrder)
        return;
    order = std::move(newOrder);
    slotOfHead.assign(count, -1);
    for (std::size_t slot = 0; order && slot < order->size(); ++slot)
        slotOfHead[static_cast<std::size_t>((*order)[slot])] = static_cast<int>(slot);
    updateGeometry();
    if (const Place chosen = placeOf(selection->layer(), selection->head()); chosen.row >= 0)
        ensureVisible(chosen);
}

Place HeadWall::State::placeAt(const QPoint& position) const
{
    const QPoint inside = position + scrolled() - QPoint(header.width() + gap, header.height() + gap);
    if (inside.x() < 0 || inside.y() < 0 || position.y() < header.height() || position.x() < header.width())
        return {};
    if (order) {
        const int column = inside.x() / step();
        const auto slot = static_cast<std::size_t>(inside.y() / lineHeight() * columns() + column);
        if (column >= columns() || slot >= order->size())
            return {};
        return {(*order)[slot] / heads(), (*order)[slot] % heads()};
    }
    const Place place{inside.y() / step(), inside.x() / step()};
    const bool exists = place.row < static_cast<int>(rows.size()) && place.head < heads();
    return exists ? place : Place{};
}

Place HeadWall::State::placeOf(int layer, int head) const
{
    const auto found = std::ranges::find(rows, layer, &Row::layer);
    if (found == rows.end() || head < 0 || head >= heads())
        return {};
    return {static_cast<int>(found - rows.begin()), head};
}

void HeadWall::State::reload()
{
    generation->fetch_add(1);
    for (Row& row : rows)
        row = {.layer = row.layer, .overview = {}, .images = {}, .error = {}};
    requestNext();
    wall->viewport()->update();
}

/// One layer at a time: those on show first, so that scrolling is followed by what is looked at.
void HeadWall::State::requestNext()
{
    if (!tiles || std::ranges::any_of(rows, [](const Row& row) { return row.loading == Loading::Requested; }))
        return;
    const QRect shown = wall->viewport()->rect();
    int next = -1;
    for (int row = 0; row < static_cast<int>(rows.size()); ++row) {
        if (rows[static_cast<std::size_t>(row)].loading != Loading::Waiting)
            continue;
        const bool visible = shown.intersects(rectOf({row, 0}).adjusted(0, 0, shown.width(), 0));
        if (next < 0 || visible)
            next = row;
        if (visible)
            break;
    }
    if (next < 0)
        return;
    Row& row = rows[static_cast<std::size_t>(next)];
    row.loading = Loading::Requested;
    const std::uint64_t asked = generation->load();
    tiles->requestOverview(
        wall, TileSource::Priority::Background, sample->sample, row.layer, pooling,
        [current = generation, asked] { return current->load() != asked; },
        [this, next, asked](TileReply<std::vector<Half>> reply) { receive(next, asked, std::move(reply)); });
}

void HeadWall::State::receive(int index, std::uint64_t asked, TileReply<std::vector<Half>> reply)
{
    if (asked != generation->load())
        return;
    Row& row = rows[static_cast<std::size_t>(index)];
    const std::int64_t edge = overviewEdge(sample->info.promptTokens);
    const bool whole = reply.value.size() == static_cast<std::size_t>(edge * edge * heads());
    if (reply.ok() && whole) {
        row.loading = Loading::Done;
        row.overview = std::move(reply.value);
        row.images.assign(static_cast<std::size_t>(heads()), {});
    } else {
        row.loading = Loading::Failed;
        row.error
            = reply.ok() ? HeadWall::tr("The overview of layer %1 has a wrong size.").arg(row.layer) : reply.error;
        emit wall->failed(row.error);
    }
    wall->viewport()->update();
    requestNext();
    if (isLoaded())
        emit wall->loaded();
}

bool HeadWall::State::isLoaded() const
{
    return std::ranges::all_of(
        rows, [](const Row& row) { return row.loading == Loading::Done || row.loading == Loading::Failed; });
}

const QImage& HeadWall::State::image(Row& row, int head)
{
    QImage& image = row.images[static_cast<std::size_t>(head)];
    const double ratio = wall->devicePixelRatioF();
    const int pixels = static_cast<int>(std::lround(size * ratio));
    if (image.width() != pixels) {
        const std::int64_t edge = overviewEdge(sample->info.promptTokens);
        const auto cells = static_cast<std::size_t>(edge * edge);
        const std::span<const Half> values(row.overview);
        image
            = thumbnail(values.subspan(cells * static_cast<std::size_t>(head), cells), edge, pixels, pooling, *colors);
        image.setDevicePixelRatio(ratio);
    }
    return image;
}

void HeadWall::State::forgetImages()
{
    for (Row& row : rows)
        std::ranges::fill(row.images, QImage());
    wall->viewport()->update();
}

void HeadWall::State::updateGeometry()
{
    const QFontMetrics metrics(wall->font());
    header = order ? QSize(0, 0) : QSize(metrics.horizontalAdvance(QStringLiteral("000")) + 6, metrics.height() + 2);
    const QSize view = wall->viewport()->size();
    if (fixedSize > 0)
        size = fixedSize;
    else if (heads() > 0)
        size = std::clamp((view.width() - header.width() - gap) / heads() - gap, smallestAutomatic, largestAutomatic);
    const int lines
        = order ? (static_cast<int>(order->size()) + columns() - 1) / columns() : static_cast<int>(rows.size());
    const int width = header.width() + gap + columns() * step();
    const int height = header.height() + gap + lines * lineHeight();
    wall->horizontalScrollBar()->setRange(0, std::max(0, width - view.width()));
    wall->horizontalScrollBar()->setPageStep(view.width());
    wall->horizontalScrollBar()->setSingleStep(step());
    wall->verticalScrollBar()->setRange(0, std::max(0, height - view.height()));
    wall->verticalScrollBar()->setPageStep(view.height());
    wall->verticalScrollBar()->setSingleStep(step());
    wall->viewport()->update();
}

void HeadWall::State::moveFocus(int rowStep, int columnStep)
{
    if (rows.empty() || heads() == 0)
        return;
    if (focus.row < 0)
        focus = placeOf(selection->layer(), selection->head());
    else if (order && !order->empty()) {
        const int slot = slotOfHead[static_cast<std::size_t>(indexOf(focus))] + rowStep * columns() + columnStep;
        const int head = (*order)[static_cast<std::size_t>(std::clamp(slot, 0, static_cast<int>(order->size()) - 1))];
        focus = {head / heads(), head % heads()};
    } else
        focus = {std::clamp(focus.row + rowStep, 0, static_cast<int>(rows.size()) - 1),
            std::clamp(focus.head + columnStep, 0, heads() - 1)};
    if (focus.row < 0)
        focus = {0, 0};
    ensureVisible(focus);
    wall->setAccessibleDescription(toolTip(focus));
    wall->viewport()->update();
}

void HeadWall::State::ensureVisible(Place place)
{
    const QRect rect = rectOf(place);
    if (rect.isEmpty())
        return;
    const QRect shown = wall->viewport()->rect().adjusted(header.width() + gap, header.height() + gap, -gap, -gap);
    const auto shift = [](int begin, int end, int low, int high) {
        if (begin < low)
            return begin - low;
        return end > high ? std::min(end - high, begin - low) : 0;
    };
    auto* horizontal = wall->horizontalScrollBar();
    auto* vertical = wall->verticalScrollBar();
    horizontal->setValue(horizontal->value() + shift(rect.left(), rect.right(), shown.left(), shown.right()));
    vertical->setValue(vertical->value() + shift(rect.top(), rect.bottom(), shown.top(), shown.bottom()));
}

void HeadWall::State::choose(Place place)
{
    if (place.row < 0)
        return;
    focus = place;
    selection->setHead(rows[static_cast<std::size_t>(place.row)].layer, place.head);
    wall->viewport()->update();
}

void HeadWall::State::toggle(Place place)
{
    if (place.row < 0)
        return;
    focus = place;
    emit wall->headToggled(rows[static_cast<std::size_t>(place.row)].layer, place.head);
    wall->viewport()->update();
}

/// Made when it is asked for: a wall of a thousand heads stores no texts.
QString HeadWall::State::toolTip(Place place) const
{
    const Row& row = rows[static_cast<std::size_t>(place.row)];
    const QString name = HeadWall::tr("Layer %1, head %2").arg(row.layer).arg(place.head);
    const LayerInfo* info = sample->findLayer(row.layer);
    switch (row.loading) {
    case Loading::Waiting:
    case Loading::Requested:
        return HeadWall::tr("%1: loading").arg(name);
    case Loading::Failed:
        return HeadWall::tr("%1: could not be read. %2").arg(name, row.error);
    case Loading::Done:
        break;
    }
    if (!info || !finestLevel(*info, place.head))
        return HeadWall::tr("%1: only this overview was recorded").arg(name);
    return HeadWall::tr("%1: click to show its map").arg(name);
}

void HeadWall::State::paintFrame(QPainter& painter, const QRect& rect) const
{
    painter.setBrush(Qt::NoBrush);
    painter.setPen(QPen(Qt::black, 1));
    painter.drawRect(rect.adjusted(-3, -3, 2, 2));
    painter.setPen(QPen(Qt::white, 1));
    painter.drawRect(rect.adjusted(-2, -2, 1, 1));
    painter.setPen(QPen(wall->palette().color(QPalette::Highlight), 1));
    painter.drawRect(rect.adjusted(-1, -1, 0, 0));
}

/// Headers stay while the thumbnails scroll, and name every fifth head where there is no room for all.
void HeadWall::State::paintHeaders(QPainter& painter) const
{
    if (order)
        return;
    const QRect view = wall->viewport()->rect();
    const QPalette palette = wall->palette();
    const QFontMetrics metrics(wall->font());
    painter.fillRect(QRect(0, 0, view.width(), header.height()), palette.color(QPalette::Window));
    painter.fillRect(QRect(0, 0, header.width(), view.height()), palette.color(QPalette::Window));
    painter.setPen(palette.color(QPalette::WindowText));
    const int headStep = metrics.horizontalAdvance(QString::number(heads())) + 4 > step() ? 5 : 1;
    const int rowStep = metrics.height() > step() ? 5 : 1;
    for (int head = 0; head < heads(); head += headStep) {
        const QRect rect = rectOf({0, head});
        if (rect.left() >= header.width())
            painter.drawText(
                QRect(rect.left() - gap, 0, size + 2 * gap, header.height()), Qt::AlignCenter, QString::number(head));
    }
    for (int row = 0; row < static_cast<int>(rows.size()); row += rowStep) {
        const QRect rect = rectOf({row, 0});
        if (rect.center().y() >= header.height())
            painter.drawText(QRect(0, rect.top(), header.width() - 2, size), Qt::AlignRight | Qt::AlignVCenter,
                QString::number(rows[static_cast<std::size_t>(row)].layer));
    }
}

void HeadWall::State::paintThumbnail(QPainter& painter, Row& row, int head, const QRect& rect)
{
    const QPalette palette = wall->palette();
    painter.fillRect(rect, palette.color(QPalette::AlternateBase));
    if (row.loading == Loading::Done) {
        painter.drawImage(rect.topLeft(), image(row, head));
        paintMarks(painter, row.layer, head, rect);
        return;
    }
    painter.setPen(palette.color(QPalette::Disabled, QPalette::WindowText));
    if (row.loading == Loading::Failed) {
        painter.drawLine(rect.topLeft(), rect.bottomRight());
        painter.drawLine(rect.topRight(), rect.bottomLeft());
    } else {
        painter.drawText(rect, Qt::AlignCenter, QString(QChar(0x2026)));
    }
}

void HeadWall::State::paintMarks(QPainter& painter, int layer, int head, const QRect& rect) const
{
    constexpr int barHeight = 5;
    const QPalette palette = wall->palette();
    const auto index = static_cast<std::size_t>(indexOf(placeOf(layer, head)));
    if (index < bars.size() && !std::isnan(bars[index])) {
        const QRect ground(rect.left(), rect.bottom() - barHeight + 1, rect.width(), barHeight);
        painter.fillRect(ground, palette.color(QPalette::Window));
        const int width = static_cast<int>(std::lround(std::clamp(bars[index], 0.0, 1.0) * ground.width()));
        painter.fillRect(QRect(ground.left(), ground.top() + 1, width, barHeight - 1), barColor);
    }
    if (index < matches.size() && !matches[index]) {
        QColor veil = palette.color(QPalette::Window);
        veil.setAlphaF(0.8F);
        painter.fillRect(rect, veil);
    }
    if (order) {
        painter.setPen(palette.color(QPalette::WindowText));
        painter.drawText(QRect(rect.left() - gap, rect.bottom() + 1, rect.width() + 2 * gap, lineHeight() - step()),
            Qt::AlignCenter, QStringLiteral("%1.%2").arg(layer).arg(head));
    }
}

HeadWall::HeadWall(Selection* selection, QWidget* parent)
    : QAbstractScrollArea(parent)
    , m_state(std::make_unique<State>(this, selection))
{
    setFocusPolicy(Qt::StrongFocus);
    setAccessibleName(tr("Heads of all layers"));
    viewport()->setAutoFillBackground(false);
    connect(selection, &Selection::headChanged, this, [this](int layer, int head) {
        m_state->focus = m_state->placeOf(layer, head);
        if (m_state->focus.row >= 0)
            m_state->ensureVisible(m_state->focus);
        viewport()->update();
    });
    m_state->updateGeometry();
}

HeadWall::~HeadWall()
{
    m_state->generation->fetch_add(1);
}

void HeadWall::setSample(SampleModelPtr sample, RecordingSource* source)
{
    setSample(std::move(sample), makeTileSource(source));
}

void HeadWall::setSample(SampleModelPtr sample, std::shared_ptr<TileSource> tiles)
{
    State& s = *m_state;
    s.sample = std::move(sample);
    s.tiles = std::move(tiles);
    s.rows.clear();
    if (s.sample) {
        for (const LayerInfo& layer : s.sample->layers)
            s.rows.push_back({.layer = layer.layer, .overview = {}, .images = {}, .error = {}});
    }
    s.order.reset();
    s.slotOfHead.clear();
    s.matches.clear();
    s.bars.clear();
    s.focus = s.placeOf(s.selection->layer(), s.selection->head());
    s.updateGeometry();
    s.reload();
}

void HeadWall::setColors(ColorMap map, ColorScale scale, ColorRange range)
{
    m_state->colors = std::make_shared<ColorTable>(map, scale, range);
    m_state->forgetImages();
}

void HeadWall::setPooling(Pooling pooling)
{
    if (std::exchange(m_state->pooling, pooling) != pooling)
        m_state->reload();
}

void HeadWall::setOrder(std::optional<std::vector<int>> order)
{
    m_state->setOrder(std::move(order));
}

void HeadWall::setMatches(std::vector<bool> matches)
{
    m_state->matches = std::move(matches);
    viewport()->update();
}

void HeadWall::setBars(std::vector<double> bars, const QColor& color)
{
    m_state->bars = std::move(bars);
    m_state->barColor = color;
    viewport()->update();
}

void HeadWall::setThumbnailSize(int size)
{
    m_state->fixedSize = std::clamp(size, smallestThumbnail, largestThumbnail);
    m_state->updateGeometry();
}

QRect HeadWall::thumbnailRect(int layer, int head) const
{
    const Place place = m_state->placeOf(layer, head);
    return place.row < 0 ? QRect() : m_state->rectOf(place);
}

bool HeadWall::isLoaded() const
{
    return m_state->isLoaded();
}

void HeadWall::paintEvent(QPaintEvent* event)
{
    State& s = *m_state;
    QPainter painter(viewport());
    painter.fillRect(event->rect(), palette().color(QPalette::Window));
    for (int row = 0; row < static_cast<int>(s.rows.size()); ++row) {
        for (int head = 0; head < s.heads(); ++head) {
            const QRect rect = s.rectOf({row, head});
            if (rect.intersects(event->rect()))
                s.paintThumbnail(painter, s.rows[static_cast<std::size_t>(row)], head, rect);
        }
    }
    if (const Place chosen = s.placeOf(s.selection->layer(), s.selection->head());
        chosen.row >= 0 && !s.rectOf(chosen).isEmpty())
        s.paintFrame(painter, s.rectOf(chosen));
    if (hasFocus() && s.focus.row >= 0 && !s.rectOf(s.focus).isEmpty()) {
        painter.setBrush(Qt::NoBrush);
        const QRect rect = s.rectOf(s.focus).adjusted(1, 1, -2, -2);
        painter.setPen(Qt::white);
        painter.drawRect(rect);
        painter.setPen(QPen(Qt::black, 1, Qt::DashLine));
        painter.drawRect(rect);
    }
    s.paintHeaders(painter);
}

void HeadWall::resizeEvent(QResizeEvent* event)
{
    QAbstractScrollArea::resizeEvent(event);
    m_state->updateGeometry();
    if (m_state->focus.row >= 0)
        m_state->ensureVisible(m_state->focus);
}

void HeadWall::keyPressEvent(QKeyEvent* event)
{
    State& s = *m_state;
    switch (event->key()) {
    case Qt::Key_Left:
        return s.moveFocus(0, -1);
    case Qt::Key_Right:
        return s.moveFocus(0, 1);
    case Qt::Key_Up:
        return s.moveFocus(-1, 0);
    case Qt::Key_Down:
        return s.moveFocus(1, 0);
    case Qt::Key_Home:
        return s.moveFocus(-static_cast<int>(s.rows.size()) * s.heads(), -s.heads());
    case Qt::Key_End:
        return s.moveFocus(static_cast<int>(s.rows.size()) * s.heads(), s.heads());
    case Qt::Key_Return:
    case Qt::Key_Enter:
    case Qt::Key_Space:
        return event->modifiers().testFlag(Qt::ControlModifier) ? s.toggle(s.focus) : s.choose(s.focus);
    default:
        QAbstractScrollArea::keyPressEvent(event);
    }
}

void HeadWall::mousePressEvent(QMouseEvent* event)
{
    if (event->button() != Qt::LeftButton)
        return;
    const Place place = m_state->placeAt(event->position().toPoint());
    if (event->modifiers().testFlag(Qt::ControlModifier))
        m_state->toggle(place);
    else
        m_state->choose(place);
}

void HeadWall::mouseReleaseEvent(QMouseEvent* event)
{
    event->accept();
}

bool HeadWall::viewportEvent(QEvent* event)
{
    if (event->type() == QEvent::ToolTip) {
        const auto* help = static_cast<QHelpEvent*>(event);
        const Place place = m_state->placeAt(help->pos());
        if (place.row < 0)
            QToolTip::hideText();
        else
            QToolTip::showText(help->globalPos(), m_state->toolTip(place), viewport(), m_state->rectOf(place));
        return true;
    }
    return QAbstractScrollArea::viewportEvent(event);
}

void HeadWall::changeEvent(QEvent* event)
{
    QAbstractScrollArea::changeEvent(event);
    if (event->type() == QEvent::FontChange || event->type() == QEvent::PaletteChange)
        m_state->updateGeometry();
}

QSize HeadWall::sizeHint() const
{
    return {360, 480};
}

} // namespace kvloupe
