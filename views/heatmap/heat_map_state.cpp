// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/heat_map_state.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvloupe {
namespace {

constexpr int colorBarWidth = 14;
constexpr std::size_t cacheLimit = std::size_t{160} << 20;
constexpr int frameGap = 2; // between the map and the lines around it

} // namespace

HeatMapView::State::State(HeatMapView* owner, Selection* chosen, std::shared_ptr<TileCache> tileCache)
    : view(owner)
    , selection(chosen)
    , plot(new QCustomPlot(owner))
    , cache(tileCache ? std::move(tileCache) : std::make_shared<TileCache>(cacheLimit))
    , loader(*cache)
{
    buildPlot();
    connectMouse();
}

void HeatMapView::State::buildPlot()
{
    plot->setFocusPolicy(Qt::NoFocus);
    plot->setNoAntialiasingOnDrag(false);
    plot->plotLayout()->clear();
    plot->plotLayout()->setColumnSpacing(0);
    // Buffered layers repaint alone: a slider redraws the overlay, a mouse move the cursor, a tile the map.
    for (const QLatin1String name : {mapLayerName, bandLayerName, keepLayerName, cursorLayerName}) {
        plot->addLayer(name);
        if (name != bandLayerName)
            plot->layer(name)->setMode(QCPLayer::lmBuffered);
    }
    plot->moveLayer(plot->layer(mapLayerName), plot->layer(QStringLiteral("grid")), QCustomPlot::limBelow);

    rect = new QCPAxisRect(plot, true);
    rect->setAutoMargins(QCP::msNone);
    plot->plotLayout()->addElement(0, 0, rect);
    bar = new ColorBar(plot);
    bar->setAutoMargins(QCP::msNone);
    plot->plotLayout()->addElement(0, 1, bar);

    QCPAxis* keys = rect->axis(QCPAxis::atBottom);
    QCPAxis* queries = rect->axis(QCPAxis::atLeft);
    queries->setRangeReversed(true);
    keyTicker = QSharedPointer<TokenTicker>::create(keys);
    queryTicker = QSharedPointer<TokenTicker>::create(queries);
    keys->setTicker(keyTicker);
    queries->setTicker(queryTicker);
    for (QCPAxis* axis : {keys, queries}) {
        axis->setSubTicks(false);
        axis->setTickLength(0, 4);
        axis->grid()->setVisible(false);
        axis->setRange(0.0, 1.0);
    }
    keys->setLabel(HeatMapView::tr("key"));
    queries->setLabel(HeatMapView::tr("query"));
    // The frame of the map without labels.
    for (QCPAxis* axis : {rect->axis(QCPAxis::atTop), rect->axis(QCPAxis::atRight)}) {
        axis->setVisible(true);
        axis->setTicks(false);
        axis->setTickLabels(false);
    }

    map = new TilePlottable(rect, mapLayerName, *cache, loader);
    keep = new KeepLayer(rect, keepLayerName, *map);
    bands = new SpanBands(rect, bandLayerName);
    marks = new GenerationMarks(rect, keepLayerName);
    rowStrip = new RowStrip(rect, keepLayerName);
    cursor = new CursorLayer(rect, cursorLayerName);

    QObject::connect(plot, &QCustomPlot::beforeReplot, view, [this] { prepareReplot(); });
    QObject::connect(&loader, &TileLoader::tileArrived, view, [this] { tileArrived(); });
    QObject::connect(&loader, &TileLoader::idle, view, [this] { announceLoaded = true; });
    QObject::connect(&loader, &TileLoader::failed, view, &HeatMapView::failed);
    QObject::connect(plot, &QCustomPlot::afterReplot, view, [this] {
        if (sample && map->shape() && loader.isIdle() && std::exchange(announceLoaded, false))
            emit view->loaded();
    });
}

void HeatMapView::State::applyPalette(const QPalette& palette)
{
    const QColor text = palette.color(QPalette::WindowText);
    plot->setBackground(QBrush(palette.color(QPalette::Window)));
    for (QCPAxisRect* axisRect : {rect, static_cast<QCPAxisRect*>(bar)}) {
        for (QCPAxis* axis : axisRect->axes()) {
            axis->setBasePen(QPen(text, 1));
            axis->setTickPen(QPen(text, 1));
            axis->setTickLabelColor(text);
            axis->setLabelColor(text);
        }
    }
    keep->setTextColor(text);
    map->setMessageColor(text);
}

void HeatMapView::State::applyFont(const QFont& font)
{
    for (QCPAxisRect* axisRect : {rect, static_cast<QCPAxisRect*>(bar)}) {
        for (QCPAxis* axis : axisRect->axes()) {
            axis->setTickLabelFont(font);
            axis->setLabelFont(font);
        }
    }
    keep->setFont(font);
    bands->setFont(font);
    updateMargins();
}

/// Fixed margins: the map must not move under the cursor when labels become longer.
void HeatMapView::State::updateMargins()
{
    QCPAxis* keys = rect->axis(QCPAxis::atBottom);
    QCPAxis* queries = rect->axis(QCPAxis::atLeft);
    const QFontMetricsF metrics(keys->tickLabelFont());
    const int line = static_cast<int>(std::ceil(metrics.height()));
    const int tokenRoom = static_cast<int>(std::ceil(metrics.horizontalAdvance(QStringLiteral("mmmmmm"))));
    const int numberRoom = static_cast<int>(std::ceil(metrics.horizontalAdvance(QStringLiteral("000000"))));
    const int band = style.showSpans && bands->hasSpans() ? SpanBands::thickness(keys->tickLabelFont()) + 4 : 0;
    bands->setVisible(band > 0);
    // Axis lines stay off the map: the first key is the one that matters most.
    for (QCPAxis* axis : {keys, queries})
        axis->setOffset(std::max(frameGap, band));
    for (QCPAxis* axis : {rect->axis(QCPAxis::atTop), rect->axis(QCPAxis::atRight)})
        axis->setOffset(frameGap);
    const int labels = (style.showTokens ? tokenRoom : numberRoom) + 12;
    // Axis labels sit at the outer edge, wherever the tick labels end.
    const int top = std::max(line, KeepLayer::heightOf(keep->overlays().size()) + frameGap);
    rect->setMargins(QMargins(
        band + labels + line + 6, top, rowStrip->isEmpty() ? 10 : RowStrip::width + 4, band + labels + line + 6));
    const int barRoom
        = static_cast<int>(std::ceil(metrics.horizontalAdvance(QStringLiteral("0.0001")))) + 12 + line + 8;
    bar->setMargins(QMargins(8, top, barRoom, band + labels + line + 6));
    bar->setMinimumSize(colorBarWidth + 8 + barRoom, 0);
    bar->setMaximumSize(colorBarWidth + 8 + barRoom, QWIDGETSIZE_MAX);
    bar->setSizeConstraintRect(QCPLayoutElement::scrOuterRect);
}

void HeatMapView::State::updateColors()
{
    const ColorMap shown = lens.content == MapContent::Difference ? ColorMap::Diverging : style.colorMap;
    auto colors = std::make_shared<const ColorTable>(shown, style.scale, style.range);
    map->setColors(colors);
    bar->setColors(std::move(colors));
}

void HeatMapView::State::updateLabels()
{
    const QString pooled = view->poolingText();
    const QString name = lens.content == MapContent::Difference ? HeatMapView::tr("A \u2212 B, attention")
                                                                : HeatMapView::tr("attention");
    const QString label = pooled.isEmpty() ? name : HeatMapView::tr("%1, %2").arg(name, pooled);
    if (bar->valueAxis()->label() != label)
        bar->valueAxis()->setLabel(label);
}

void HeatMapView::State::prepareReplot()
{
    QCPAxis* keys = rect->axis(QCPAxis::atBottom);
    keys->setTickLabelRotation(keyTicker->showsText() ? -90 : 0);
    updateLabels();
}

void HeatMapView::State::replotAll()
{
    plot->replot(QCustomPlot::rpQueuedReplot);
}

void HeatMapView::State::tileArrived()
{
    map->invalidate();
    if (!rendering)
        replotAll();
}

/// The frame of the map is the focus ring.
void HeatMapView::State::showFocus(bool focused)
{
    const QPalette palette = view->palette();
    const QPen pen
        = focused ? QPen(palette.color(QPalette::Highlight), 2) : QPen(palette.color(QPalette::WindowText), 1);
    for (QCPAxis* axis : {rect->axis(QCPAxis::atTop), rect->axis(QCPAxis::atRight)})
        axis->setBasePen(pen);
    replotAll();
}

void HeatMapView::State::setSource(SampleModelPtr newSample, std::shared_ptr<TileSource> newTiles)
{
    if (tiles)
        cache->forget(cache->sourceNumber(tiles));
    sample = std::move(newSample);
    tiles = std::move(newTiles);
    const bool hadLens = std::exchange(lens, {}).tiles != nullptr;
    loader.setSource(tiles);
    if (hadLens) {
        updateColors();
        emit view->lensChanged();
    }
    updateExtent();
    keep->setOverlays({});
    rowStrip->setShares({}, {});
    updateMargins();
    updateShape();
    updateStep();
    view->fit();
}

void HeatMapView::State::updateExtent()
{
    std::shared_ptr<QStringList> labels;
    std::vector<Span> spans;
    if (sample) {
        labels = std::make_shared<QStringList>();
        for (const std::string& piece : sample->text.pieces)
            labels->push_back(tokenLabel(QString::fromStdString(piece)));
        for (const Span& span : sample->layout.spans()) {
            if (span.begin < tokens())
                spans.push_back(span);
        }
    }
    const bool generated = sample && tokens() > sample->info.promptTokens;
    marks->setPromptTokens(generated ? sample->info.promptTokens : 0);
    setPinned(false);
    keyTicker->setTokens(labels);
    queryTicker->setTokens(labels);
    bands->setSpans(std::move(spans));
}

MapExtent HeatMapView::State::extent() const
{
    return sample && lens.extent == MapExtent::AllTokens ? recordedExtent(sample->info, sample->layers)
                                                         : MapExtent::Prompt;
}

std::int64_t HeatMapView::State::tokens() const
{
    if (!sample)
        return 0;
    return extent() == MapExtent::AllTokens ? sample->info.totalTokens : sample->info.promptTokens;
}

/// The newest generated token of the step is the one that asks.
void HeatMapView::State::updateStep()
{
    const std::int64_t query = sample ? sample->info.promptTokens + selection->step() - 1 : -1;
    marks->setQuery(selection->step() > 0 && query < tokens() ? query : -1);
    plot->layer(keepLayerName)->replot();
}

void HeatMapView::State::updateShape()
{
    std::optional<MapShape> shape;
    QString message;
    const int layer = selection->layer();
    const int head = selection->head();
    if (!sample) {
        message = HeatMapView::tr("No sample is open.");
    } else if (const LayerInfo* info = sample->findLayer(layer); !info || head < 0) {
        message = layer < 0 ? HeatMapView::tr("No head is selected.")
                            : HeatMapView::tr("Layer %1 was not recorded.").arg(layer);
    } else if (const auto finest = finestLevel(*info, head); !finest) {
        message = HeatMapView::tr("No attention was recorded for layer %1, head %2.").arg(layer).arg(head);
    } else {
        shape.emplace();
        shape->tokens = tokens();
        shape->attentionWindow = info->window;
        shape->coarsestLevel = std::max(coarsestLevel(tokens()), *finest);
        shape->finestLevel = *finest;
        shape->map = {.sample = sample->sample,
            .layer = layer,
            .head = head,
            .pooling = style.pooling,
            .extent = extent(),
            .source = cache->sourceNumber(activeTiles())};
        shape->isSigned = lens.content == MapContent::Difference;
        if (shape->isSigned)
            shape->map.pooling = Pooling::Max;
    }
    map->setMessage(message);
    map->setShape(shape);
    map->setNeighbours(neighbours());
    announceLoaded = true;
    emit view->statusText(message);
}

/// The heads a key press away.
std::vector<TileKey> HeatMapView::State::neighbours() const
{
    std::vector<TileKey> keys;
    if (!map->shape() || lens.content == MapContent::Difference) // the coarsest tile of a difference costs two maps
        return keys;
    const TileKey& here = map->shape()->map;
    for (const auto& [layerStep, headStep] : {std::pair{0, 1}, {0, -1}, {1, 0}, {-1, 0}}) {
        const int layer = here.layer + layerStep;
        const int head = here.head + headStep;
        const LayerInfo* info = sample->findLayer(layer);
        if (!info || head < 0 || head >= sample->model.numHeads
            || finestLevel(*info, head) != map->shape()->finestLevel)
            continue;
        TileKey key = here;
        key.layer = layer;
        key.head = head;
        keys.push_back(key);
    }
    return keys;
}

} // namespace kvloupe
