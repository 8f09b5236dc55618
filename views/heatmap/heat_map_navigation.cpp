// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/heat_map_state.h"

#include <QApplication>
#include <QKeyEvent>

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvloupe {
namespace {

constexpr double smallestWindow = 4.0; // cells across at the deepest zoom
constexpr double zoomStep = 1.25; // per wheel notch or key
constexpr double fineZoomStep = 1.05; // with Ctrl
constexpr double panStep = 0.1; // of the view, per key

/// [begin, begin + size) moved and cut so that it lies in [0, limit].
std::pair<double, double> clampedRange(double begin, double end, double limit)
{
    const double size = std::clamp(end - begin, std::min(smallestWindow, limit), limit);
    const double middle = (begin + end) / 2.0;
    const double first = std::clamp(middle - size / 2.0, 0.0, limit - size);
    return {first, first + size};
}

} // namespace

void HeatMapView::State::zoomAt(QPointF pixel, double factor)
{
    const MapWindow now = windowOf(*rect);
    const double key = rect->axis(QCPAxis::atBottom)->pixelToCoord(pixel.x());
    const double query = rect->axis(QCPAxis::atLeft)->pixelToCoord(pixel.y());
    // Both axes zoom alike, and stop together.
    const auto limit = static_cast<double>(tokens());
    const double least = std::min(smallestWindow, limit);
    const double scale = std::clamp(1.0 / factor, least / std::max(std::min(now.keys(), now.queries()), 1e-9),
        limit / std::max(std::min(now.keys(), now.queries()), 1e-9));
    view->setMapWindow({key - (key - now.keyBegin) * scale, key + (now.keyEnd - key) * scale,
        query - (query - now.queryBegin) * scale, query + (now.queryEnd - query) * scale});
}

void HeatMapView::State::zoomAtMiddle(double factor)
{
    zoomAt(QRectF(mapArea(*rect)).center(), factor);
}

void HeatMapView::State::pan(double keyShare, double queryShare)
{
    const MapWindow now = windowOf(*rect);
    const double keys = now.keys() * keyShare;
    const double queries = now.queries() * queryShare;
    view->setMapWindow({now.keyBegin + keys, now.keyEnd + keys, now.queryBegin + queries, now.queryEnd + queries});
}

void HeatMapView::State::moveCell(std::int64_t queryStep, std::int64_t keyStep)
{
    if (tokens() == 0)
        return;
    std::int64_t query = selection->query();
    std::int64_t key = selection->key();
    if (query < 0 || key < 0) {
        const MapWindow now = windowOf(*rect);
        query = static_cast<std::int64_t>((now.queryBegin + now.queryEnd) / 2.0);
        key = std::min(query, static_cast<std::int64_t>((now.keyBegin + now.keyEnd) / 2.0));
    } else {
        query += queryStep;
        key += keyStep;
    }
    selection->setCell(
        std::clamp<std::int64_t>(query, 0, tokens() - 1), std::clamp<std::int64_t>(key, 0, tokens() - 1));
    showCell();
}

/// Pans as little as needed to have the cell of the keyboard on show.
void HeatMapView::State::showCell()
{
    MapWindow now = windowOf(*rect);
    const auto shift = [](double begin, double end, double cell) {
        if (cell < begin)
            return cell - begin;
        return cell + 1.0 > end ? cell + 1.0 - end : 0.0;
    };
    const double keys = shift(now.keyBegin, now.keyEnd, static_cast<double>(selection->key()));
    const double queries = shift(now.queryBegin, now.queryEnd, static_cast<double>(selection->query()));
    if (keys != 0.0 || queries != 0.0)
        view->setMapWindow({now.keyBegin + keys, now.keyEnd + keys, now.queryBegin + queries, now.queryEnd + queries});
}

void HeatMapView::State::setPinned(bool pin)
{
    pinsWhenKnown = false;
    if (pinned == pin)
        return;
    pinned = pin;
    cursor->setPinned(pin);
    plot->layer(cursorLayerName)->replot();
    emit view->pinnedChanged(pin);
}

void HeatMapView::State::togglePinned()
{
    if (pinned || selection->query() < 0 || selection->key() < 0)
        return setPinned(false);
    const std::int64_t step = selection->query() - sample->info.promptTokens + 1;
    if (step > 0)
        selection->setStep(step);
    if (view->level() == 0)
        return setPinned(true);
    if (!facts.block) {
        pinsWhenKnown = true;
        return;
    }
    setPinned(true);
    selection->setCell(facts.block->maximumQuery, facts.block->maximumKey);
}

void HeatMapView::State::receiveFacts(std::int64_t query, std::int64_t key, const CellFacts& found)
{
    facts = found;
    view->describeCell(query, key, found.value);
    emit view->cellHovered(query, key, found.value, true);
    emit view->cellFactsKnown(query, key, found);
    if (std::exchange(pinsWhenKnown, false) && found.block)
        togglePinned();
}

void HeatMapView::State::stepHead(int layerStep, int headStep)
{
    if (!sample || sample->layers.empty())
        return;
    const auto& layers = sample->layers;
    auto at = std::ranges::find(layers, selection->layer(), &LayerInfo::layer);
    if (at == layers.end())
        at = layers.begin();
    const auto index = std::clamp<std::ptrdiff_t>(
        at - layers.begin() + layerStep, 0, static_cast<std::ptrdiff_t>(layers.size()) - 1);
    const int head = std::clamp(selection->head() + headStep, 0, std::max(0, sample->model.numHeads - 1));
    selection->setHead(layers[static_cast<std::size_t>(index)].layer, head);
}

void HeatMapView::State::connectMouse()
{
    QObject::connect(plot, &QCustomPlot::mousePress, view, [this](QMouseEvent* event) { press(event); });
    QObject::connect(plot, &QCustomPlot::mouseMove, view, [this](QMouseEvent* event) { move(event); });
    QObject::connect(plot, &QCustomPlot::mouseRelease, view, [this](QMouseEvent* event) { release(event); });
    QObject::connect(plot, &QCustomPlot::mouseWheel, view, [this](QWheelEvent* event) { wheel(event); });
    QObject::connect(plot, &QCustomPlot::mouseDoubleClick, view, [this](QMouseEvent* event) {
        if (event->button() != Qt::LeftButton)
            return;
        setPinned(false);
        view->fit();
    });
}

void HeatMapView::State::press(QMouseEvent* event)
{
    if (event->button() != Qt::LeftButton || tokens() == 0 || !mapArea(*rect).contains(event->position().toPoint()))
        return;
    drag = event->modifiers().testFlag(Qt::ShiftModifier) ? Drag::Zooming : Drag::Pressed;
    dragStart = event->position();
    dragWindow = windowOf(*rect);
}

void HeatMapView::State::move(QMouseEvent* event)
{
    const QPointF moved = event->position() - dragStart;
    if (drag == Drag::Pressed && moved.manhattanLength() >= QApplication::startDragDistance())
        drag = Drag::Panning;
    if (drag == Drag::Panning) {
        const double keys = -moved.x() * dragWindow.keys() / std::max(1, rect->width());
        const double queries = -moved.y() * dragWindow.queries() / std::max(1, rect->height());
        view->setMapWindow({dragWindow.keyBegin + keys, dragWindow.keyEnd + keys, dragWindow.queryBegin + queries,
            dragWindow.queryEnd + queries});
    } else if (drag == Drag::Zooming) {
        cursor->setZoomBox(QRectF(dragStart, event->position()).normalized().toRect() & mapArea(*rect));
        plot->layer(cursorLayerName)->replot();
    } else {
        hover(event->position());
    }
}

void HeatMapView::State::release(QMouseEvent* event)
{
    const Drag ended = std::exchange(drag, Drag::None);
    if (ended == Drag::Pressed) {
        if (!pinned)
            hover(event->position());
        togglePinned();
        if (!pinned && !pinsWhenKnown)
            hover(event->position());
        return;
    }
    if (ended != Drag::Zooming)
        return;
    cursor->setZoomBox({});
    const QRectF box = QRectF(dragStart, event->position()).normalized() & QRectF(mapArea(*rect));
    if (box.width() < 3 || box.height() < 3) {
        replotAll();
        return;
    }
    const QCPAxis* keys = rect->axis(QCPAxis::atBottom);
    const QCPAxis* queries = rect->axis(QCPAxis::atLeft);
    view->setMapWindow({keys->pixelToCoord(box.left()), keys->pixelToCoord(box.right()),
        queries->pixelToCoord(box.top()), queries->pixelToCoord(box.bottom())});
}

void HeatMapView::State::hover(const QPointF& position)
{
    const auto cell = view->cellAt(position);
    if (!cell || pinned)
        return; // the last cell stays: its text can be read and copied
    map->setCenter(static_cast<double>(cell->first), static_cast<double>(cell->second));
    selection->setCell(cell->first, cell->second);
}

void HeatMapView::State::wheel(QWheelEvent* event)
{
    if (tokens() == 0)
        return;
    const double notches = event->angleDelta().y() / 120.0;
    const double step = event->modifiers().testFlag(Qt::ControlModifier) ? fineZoomStep : zoomStep;
    map->setCenter(rect->axis(QCPAxis::atLeft)->pixelToCoord(event->position().y()),
        rect->axis(QCPAxis::atBottom)->pixelToCoord(event->position().x()));
    zoomAt(event->position(), std::pow(step, notches));
    event->accept();
}

void HeatMapView::setMapWindow(const MapWindow& window)
{
    State& s = *m_state;
    const double limit = std::max(1.0, static_cast<double>(s.tokens()));
    const auto [keyBegin, keyEnd] = clampedRange(window.keyBegin, window.keyEnd, limit);
    const auto [queryBegin, queryEnd] = clampedRange(window.queryBegin, window.queryEnd, limit);
    const MapWindow clamped{keyBegin, keyEnd, queryBegin, queryEnd};
    if (clamped == mapWindow())
        return;
    s.rect->axis(QCPAxis::atBottom)->setRange(keyBegin, keyEnd);
    s.rect->axis(QCPAxis::atLeft)->setRange(queryBegin, queryEnd);
    s.announceLoaded = true;
    s.replotAll();
    emit mapWindowChanged();
}

void HeatMapView::keyPressEvent(QKeyEvent* event)
{
    State& s = *m_state;
    const auto modifiers = event->modifiers() & ~(Qt::KeypadModifier | Qt::GroupSwitchModifier);
    const MapWindow shown = mapWindow();
    if (modifiers.testFlag(Qt::AltModifier)) {
        const bool wide = modifiers.testFlag(Qt::ShiftModifier);
        const std::int64_t keys = wide ? std::max<std::int64_t>(1, std::llround(shown.keys() * panStep)) : 1;
        const std::int64_t queries = wide ? std::max<std::int64_t>(1, std::llround(shown.queries() * panStep)) : 1;
        switch (event->key()) {
        case Qt::Key_Left:
            return s.moveCell(0, -keys);
        case Qt::Key_Right:
            return s.moveCell(0, keys);
        case Qt::Key_Up:
            return s.moveCell(-queries, 0);
        case Qt::Key_Down:
            return s.moveCell(queries, 0);
        default:
            return QWidget::keyPressEvent(event);
        }
    }
    if (modifiers & (Qt::ControlModifier | Qt::MetaModifier))
        return QWidget::keyPressEvent(event);
    switch (event->key()) {
    case Qt::Key_Left:
    case Qt::Key_A:
        return s.pan(-panStep, 0);
    case Qt::Key_Right:
    case Qt::Key_D:
        return s.pan(panStep, 0);
    case Qt::Key_Up:
    case Qt::Key_W:
        return s.pan(0, -panStep);
    case Qt::Key_Down:
    case Qt::Key_S:
        return s.pan(0, panStep);
    case Qt::Key_Plus:
    case Qt::Key_Equal:
        return s.zoomAtMiddle(zoomStep);
    case Qt::Key_Minus:
        return s.zoomAtMiddle(1.0 / zoomStep);
    case Qt::Key_Escape:
        s.drag = State::Drag::None;
        s.cursor->setZoomBox({});
        if (s.pinned)
            return s.setPinned(false);
        return fit();
    case Qt::Key_Return:
    case Qt::Key_Enter:
        return s.togglePinned();
    case Qt::Key_Space:
        emit flipRequested();
        return;
    case Qt::Key_P:
        return setPooling(s.style.pooling == Pooling::Max ? Pooling::Mean : Pooling::Max);
    case Qt::Key_BracketLeft:
        return s.stepHead(0, -1);
    case Qt::Key_BracketRight:
        return s.stepHead(0, 1);
    case Qt::Key_Comma:
        return s.stepHead(-1, 0);
    case Qt::Key_Period:
        return s.stepHead(1, 0);
    default:
        return QWidget::keyPressEvent(event);
    }
}

} // namespace kvloupe
