// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/heatmap/heat_map_view.h"

#include "core/error.h"
#include "views/heatmap/heat_map_state.h"

#include <QAccessible>
#include <QElapsedTimer>
#include <QEventLoop>
#include <QTimer>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace kvloupe {
namespace {

constexpr float unknown = std::numeric_limits<float>::quiet_NaN();

} // namespace

HeatMapView::HeatMapView(Selection* selection, QWidget* parent, std::shared_ptr<TileCache> cache)
    : QWidget(parent)
    , m_state(std::make_unique<State>(this, selection, std::move(cache)))
{
    State& s = *m_state;
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(s.plot);
    setFocusPolicy(Qt::StrongFocus);
    setMinimumSize(240, 200);
    setAccessibleName(tr("Attention map"));
    s.applyFont(font());
    s.applyPalette(palette());
    s.updateColors();
    s.updateShape();
    connect(selection, &Selection::headChanged, this, [this] {
        m_state->updateShape();
        m_state->replotAll();
        onCellChanged();
    });
    connect(selection, &Selection::cellChanged, this, [this] { onCellChanged(); });
    connect(selection, &Selection::stepChanged, this, [this] { m_state->updateStep(); });
}

HeatMapView::~HeatMapView()
{
    // The plot's layerables refer to the state.
    m_state->plot->disconnect(this);
    m_state->loader.disconnect(this);
    delete m_state->plot;
}

void HeatMapView::setSample(SampleModelPtr sample, RecordingSource* source)
{
    setSample(std::move(sample), makeTileSource(source));
}

void HeatMapView::setSample(SampleModelPtr sample, std::shared_ptr<TileSource> tiles)
{
    m_state->setSource(std::move(sample), std::move(tiles));
}

void HeatMapView::showHead(int layer, int head)
{
    m_state->selection->setHead(layer, head);
}

void HeatMapView::setLens(const MapLens& lens)
{
    State& s = *m_state;
    if (!lens.tiles && !s.lens.tiles && lens.extent == s.lens.extent)
        return;
    s.lens = lens;
    s.loader.setSource(s.activeTiles());
    s.updateColors();
    s.updateExtent();
    s.updateShape();
    setMapWindow(mapWindow());
    s.replotAll();
    emit lensChanged();
    onCellChanged();
}

MapContent HeatMapView::content() const
{
    return m_state->lens.content;
}

const MapStyle& HeatMapView::mapStyle() const
{
    return m_state->style;
}

void HeatMapView::setMapStyle(const MapStyle& style)
{
    State& s = *m_state;
    if (s.style == style)
        return;
    const MapStyle old = std::exchange(s.style, style);
    if (old.colorMap != style.colorMap || old.scale != style.scale || old.range != style.range)
        s.updateColors();
    if (old.pooling != style.pooling)
        s.updateShape();
    s.keyTicker->setShowTokens(style.showTokens);
    s.queryTicker->setShowTokens(style.showTokens);
    if (old.showTokens != style.showTokens || old.showSpans != style.showSpans)
        s.updateMargins();
    s.replotAll();
    emit mapStyleChanged(style);
    if (old.pooling != style.pooling)
        onCellChanged();
}

void HeatMapView::setColorMap(ColorMap map)
{
    MapStyle style = mapStyle();
    style.colorMap = map;
    setMapStyle(style);
}

void HeatMapView::setScale(ColorScale scale)
{
    MapStyle style = mapStyle();
    style.scale = scale;
    setMapStyle(style);
}

void HeatMapView::setRange(ColorRange range)
{
    MapStyle style = mapStyle();
    style.range = range;
    setMapStyle(style);
}

void HeatMapView::setPooling(Pooling pooling)
{
    MapStyle style = mapStyle();
    style.pooling = pooling;
    setMapStyle(style);
}

void HeatMapView::setShowTokens(bool show)
{
    MapStyle style = mapStyle();
    style.showTokens = show;
    setMapStyle(style);
}

void HeatMapView::setKeepOverlay(std::vector<KeepOverlay> overlays)
{
    State& s = *m_state;
    const bool sameHeight = overlays.size() == s.keep->overlays().size();
    s.keep->setOverlays(std::move(overlays));
    if (sameHeight) {
        s.plot->layer(keepLayerName)->replot();
    } else {
        s.updateMargins();
        s.replotAll();
    }
}

void HeatMapView::setRowShares(std::vector<float> shares, const QColor& color)
{
    State& s = *m_state;
    const bool wasEmpty = s.rowStrip->isEmpty();
    s.rowStrip->setShares(std::move(shares), color);
    if (wasEmpty == s.rowStrip->isEmpty()) {
        s.plot->layer(keepLayerName)->replot();
    } else {
        s.updateMargins();
        s.replotAll();
    }
}

MapWindow HeatMapView::mapWindow() const
{
    return windowOf(*m_state->rect);
}

void HeatMapView::fit()
{
    const auto all = static_cast<double>(m_state->tokens());
    setMapWindow({0.0, all, 0.0, all});
    m_state->replotAll();
}

int HeatMapView::level() const
{
    return m_state->map->level();
}

QString HeatMapView::poolingText() const
{
    const int shown = level();
    if (shown == 0)
        return {};
    if (content() == MapContent::Difference)
        return tr("largest difference of %1 x %1").arg(qlonglong{1} << shown);
    const QString text = m_state->style.pooling == Pooling::Max ? tr("max of %1 x %1") : tr("mean of %1 x %1");
    return text.arg(qlonglong{1} << shown);
}

float HeatMapView::shownValue(std::int64_t query, std::int64_t key) const
{
    const auto& shape = m_state->map->shape();
    if (!shape || query < 0 || key < 0 || query >= shape->tokens || key > query)
        return unknown;
    if (shape->attentionWindow > 0 && key <= query - shape->attentionWindow)
        return unknown;
    for (int level = m_state->map->level(); level <= shape->coarsestLevel; ++level) {
        const std::int64_t row = query >> level;
        const std::int64_t column = key >> level;
        if (const Tile tile = m_state->cache->find(shape->tile(level, row / tileSize, column / tileSize)))
            return halfToFloat((*tile)[static_cast<std::size_t>(row % tileSize * tileSize + column % tileSize)]);
    }
    return unknown;
}

QPointF HeatMapView::pixelOfCell(std::int64_t query, std::int64_t key) const
{
    return {m_state->rect->axis(QCPAxis::atBottom)->coordToPixel(static_cast<double>(key) + 0.5),
        m_state->rect->axis(QCPAxis::atLeft)->coordToPixel(static_cast<double>(query) + 0.5)};
}

std::optional<std::pair<std::int64_t, std::int64_t>> HeatMapView::cellAt(const QPointF& pixel) const
{
    const State& s = *m_state;
    if (s.tokens() == 0 || !QRectF(mapArea(*s.rect)).contains(pixel))
        return std::nullopt;
    // The middle of the pixel decides, as it does when the map is drawn.
    const double key = s.rect->axis(QCPAxis::atBottom)->pixelToCoord(std::floor(pixel.x()) + 0.5);
    const double query = s.rect->axis(QCPAxis::atLeft)->pixelToCoord(std::floor(pixel.y()) + 0.5);
    const auto inside = [&](double value) {
        return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(value)), 0, s.tokens() - 1);
    };
    return std::pair{inside(query), inside(key)};
}

QRect HeatMapView::mapRect() const
{
    return mapArea(*m_state->rect);
}

QCustomPlot* HeatMapView::plot() const
{
    return m_state->plot;
}

bool HeatMapView::isLoaded() const
{
    m_state->map->requestTiles();
    return m_state->map->shape().has_value() && m_state->loader.isIdle();
}

bool HeatMapView::ensureLoaded(int timeoutMs)
{
    if (!m_state->map->shape())
        return false;
    QElapsedTimer timer;
    timer.start();
    while (!isLoaded() && timer.elapsed() < timeoutMs) {
        QEventLoop loop;
        QTimer::singleShot(std::max<qint64>(1, timeoutMs - timer.elapsed()), &loop, &QEventLoop::quit);
        connect(&m_state->loader, &TileLoader::idle, &loop, &QEventLoop::quit);
        loop.exec(QEventLoop::ExcludeUserInputEvents);
    }
    m_state->map->invalidate();
    return isLoaded();
}

void HeatMapView::renderTo(QCPPainter& painter, const QSize& size, double pixelsPerUnit)
{
    State& s = *m_state;
    QStringList errors;
    const auto collecting
        = connect(this, &HeatMapView::failed, this, [&](const QString& text) { errors.push_back(text); });
    const QRect screenViewport = s.plot->viewport();
    QPalette light;
    light.setColor(QPalette::WindowText, Qt::black);
    light.setColor(QPalette::Window, Qt::white);

    s.rendering = true;
    s.applyPalette(light);
    s.map->setFigureDensity(pixelsPerUnit);
    s.cursor->setVisible(false);
    s.plot->setViewport(QRect(QPoint(0, 0), size));
    for (const auto phase : {QCPLayoutElement::upPreparation, QCPLayoutElement::upMargins, QCPLayoutElement::upLayout})
        s.plot->plotLayout()->update(phase);
    const bool complete = ensureLoaded();
    if (complete && errors.isEmpty()) {
        s.prepareReplot();
        s.plot->toPainter(&painter, size.width(), size.height());
    }

    s.plot->setViewport(screenViewport);
    s.cursor->setVisible(true);
    s.map->setFigureDensity(0.0);
    s.applyPalette(palette());
    s.rendering = false;
    disconnect(collecting);
    s.replotAll();
    if (!errors.isEmpty())
        throw Error(errors.front().toStdString());
    if (!complete)
        throw Error(tr("The map could not be loaded for the figure.").toStdString());
}

std::size_t HeatMapView::cacheBytes() const
{
    return m_state->cache->byteCount();
}

const std::shared_ptr<TileCache>& HeatMapView::tileCache() const
{
    return m_state->cache;
}

std::optional<float> HeatMapView::largestValue() const
{
    const auto& shape = m_state->map->shape();
    if (!shape)
        return std::nullopt;
    // The coarsest level is one tile, except where a recording has no finer ones.
    const Tile tile = m_state->cache->find(shape->tile(shape->coarsestLevel, 0, 0));
    if (!tile)
        return std::nullopt;
    float largest = 0.0F;
    for (const Half value : *tile)
        largest = std::max(largest, std::abs(halfToFloat(value)));
    return largest;
}

void HeatMapView::onCellChanged()
{
    State& s = *m_state;
    const std::int64_t query = s.selection->query();
    const std::int64_t key = s.selection->key();
    s.cursor->setCell(query, key);
    s.plot->layer(cursorLayerName)->replot();
    const std::uint64_t generation = s.wantedCell->fetch_add(1) + 1;
    s.facts = {};
    s.pinsWhenKnown = false;
    if (!s.sample || query < 0 || key < 0 || query >= s.tokens() || key >= s.tokens()) {
        setAccessibleDescription({});
        return;
    }
    const float value = shownValue(query, key);
    const auto& shape = s.map->shape();
    const bool exists = shape && key <= query && (shape->attentionWindow == 0 || key > query - shape->attentionWindow);
    describeCell(query, key, value);
    emit cellHovered(query, key, value, !exists);
    const std::shared_ptr<TileSource> source = s.activeTiles();
    if (!exists || !source)
        return;
    const CellAddress address{shape->map.sample, shape->map.layer, shape->map.head, query, key, level(), s.tokens()};
    source->requestCell(
        this, address, [wanted = s.wantedCell, generation] { return wanted->load() != generation; },
        [this, query, key, generation](const TileReply<CellFacts>& reply) {
            if (generation != m_state->wantedCell->load())
                return;
            if (reply.ok())
                m_state->receiveFacts(query, key, reply.value);
            else
                emit failed(reply.error);
        });
}

void HeatMapView::describeCell(std::int64_t query, std::int64_t key, float value)
{
    const State& s = *m_state;
    const auto piece = [&](std::int64_t token) {
        const auto index = static_cast<std::size_t>(token);
        return index < s.sample->text.pieces.size() ? QString::fromStdString(s.sample->text.pieces[index]) : QString();
    };
    const QString number = std::isnan(value) ? tr("none") : locale().toString(static_cast<double>(value), 'g', 4);
    setAccessibleDescription(
        tr("layer %1, head %2, query %3 \"%4\", key %5 \"%6\", %8 %7")
            .arg(s.selection->layer())
            .arg(s.selection->head())
            .arg(query)
            .arg(piece(query))
            .arg(key)
            .arg(piece(key))
            .arg(number, content() == MapContent::Difference ? tr("difference") : tr("attention")));
    if (QAccessible::isActive()) {
        QAccessibleEvent event(this, QAccessible::DescriptionChanged);
        QAccessible::updateAccessibility(&event);
    }
}

void HeatMapView::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::PaletteChange || event->type() == QEvent::StyleChange)
        m_state->applyPalette(palette());
    else if (event->type() == QEvent::FontChange)
        m_state->applyFont(font());
    else
        return;
    m_state->replotAll();
}

void HeatMapView::focusInEvent(QFocusEvent* event)
{
    QWidget::focusInEvent(event);
    m_state->showFocus(true);
}

void HeatMapView::focusOutEvent(QFocusEvent* event)
{
    QWidget::focusOutEvent(event);
    m_state->showFocus(false);
}

} // namespace kvloupe
