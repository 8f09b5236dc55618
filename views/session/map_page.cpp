// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/map_page.h"

#include "views/lost/lost_rows.h"
#include "views/map/map_comparison.h"
#include "views/map/map_grid.h"
#include "views/methods/replay_model.h"
#include "views/session/map_tool_bar.h"
#include "views/session/open_recording.h"
#include "views/timeline/kept_in_view.h"
#include "views/timeline/timeline_model.h"

#include <QVBoxLayout>

#include <algorithm>
#include <cmath>
#include <utility>

namespace kvloupe {

MapPage::MapPage(const ViewModels& models, const TimelineModel* timeline, QWidget* parent)
    : QWidget(parent)
    , m_models(models)
    , m_timeline(timeline)
    , m_heatMap(new HeatMapView(models.selection))
    , m_toolBar(new MapToolBar(m_heatMap, models.selection))
    , m_comparison(new MapComparison(m_heatMap, models))
    , m_grid(new MapGrid(m_heatMap, models, timeline))
    , m_shade(new QAction(tr("&Shade Dropped Columns"), this))
    , m_lostAction(new QAction(tr("&Lost Attention beside the Map"), this))
    , m_lostRows(new LostRows(models, this))
{
    m_lostAction->setCheckable(true);
    m_lostAction->setShortcut(QKeySequence(Qt::CTRL | Qt::Key_L));
    m_lostAction->setToolTip(
        tr("Share of each query's attention that falls on tokens which the method in front drops"));
    connect(m_lostAction, &QAction::toggled, m_lostRows, &LostRows::setWanted);
    connect(m_lostRows, &LostRows::failed, m_heatMap, &HeatMapView::failed);
    connect(m_lostRows, &LostRows::changed, this, [this] {
        const int row = m_models.methods->current();
        m_heatMap->setRowShares(m_lostRows->shares(),
            row < 0 ? QColor() : m_models.methods->entries()[static_cast<std::size_t>(row)].color);
    });
    m_shade->setCheckable(true);
    m_shade->setChecked(true);
    m_shade->setShortcut(QKeySequence(Qt::CTRL | Qt::Key_D));
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(m_toolBar);
    column->addWidget(m_comparison);
    column->addWidget(m_grid, 1);

    connect(m_shade, &QAction::toggled, this, &MapPage::showReplay);
    connect(m_models.recording, &OpenRecording::sampleChanged, this, &MapPage::showSample);
    connect(m_models.recording, &OpenRecording::layoutChanged, this, [this] {
        const MapWindow window = m_heatMap->mapWindow();
        showSample();
        m_heatMap->setMapWindow(window);
    });
    connect(m_models.replay, &ReplayModel::changed, this, &MapPage::showReplay);
    connect(m_models.methods, &MethodModel::currentChanged, this, &MapPage::showReplay);
    connect(m_models.selection, &Selection::stepChanged, this, &MapPage::showReplay);
    connect(m_timeline, &TimelineModel::changed, this, [this] {
        if (m_models.selection->step() > 0)
            showReplay();
    });
}

void MapPage::showSample()
{
    const SampleModelPtr& sample = m_models.recording->sample();
    m_toolBar->setSample(sample);
    m_heatMap->setSample(sample, m_models.recording->source());
    m_comparison->restart();
    m_grid->showSample();
    showReplay();
}

void MapPage::showReplay()
{
    std::vector<KeepOverlay> overlays;
    for (int row = 0; row < m_models.methods->rowCount(); ++row) {
        const MethodModel::Entry& entry = m_models.methods->entries()[static_cast<std::size_t>(row)];
        if (!entry.shown)
            continue;
        if (auto kept = keptInView(m_models, m_timeline, row)) {
            const bool isBehind = kept->step == 0 && m_models.selection->step() > 0;
            overlays.push_back({isBehind ? tr("%1 (prompt)").arg(entry.title) : entry.title, entry.color,
                std::move(kept->positions), row == m_models.methods->current() && m_shade->isChecked(), kept->tokens});
        }
    }
    m_heatMap->setKeepOverlay(std::move(overlays));
}

FigureSpec MapPage::currentFigure() const
{
    const SampleModelPtr& sample = m_models.recording->sample();
    FigureSpec spec;
    spec.recording = m_models.recording->path();
    if (sample)
        spec.sample = std::to_string(sample->sample);
    spec.layer = std::max(0, m_models.selection->layer());
    spec.head = std::max(0, m_models.selection->head());
    // The method in front comes first: its dropped columns are the ones that are paled.
    const MethodModel& methods = *m_models.methods;
    for (int row = 0; row < methods.rowCount(); ++row) {
        const MethodModel::Entry& entry = methods.entries()[static_cast<std::size_t>(row)];
        if (entry.shown && entry.problem.isEmpty())
            spec.methods.insert(
                row == methods.current() ? spec.methods.begin() : spec.methods.end(), entry.method.spec);
    }
    spec.budget = m_models.selection->budget();
    const MapStyle& style = m_heatMap->mapStyle();
    spec.colorMap = style.colorMap;
    spec.scale = style.scale;
    spec.range = style.range;
    spec.pooling = style.pooling;
    spec.showTokens = style.showTokens;
    spec.showSpans = style.showSpans;
    spec.shadeDropped = m_shade->isChecked();
    const MapWindow window = m_heatMap->mapWindow();
    const std::int64_t tokens = sample ? sample->info.promptTokens : 0;
    const auto range = [tokens](double begin, double end) -> std::optional<TokenRange> {
        const TokenRange shown{std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(begin)), 0, tokens),
            std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(end)), 0, tokens)};
        return shown.size() <= 0 || shown == TokenRange{0, tokens} ? std::nullopt : std::optional(shown);
    };
    spec.keys = range(window.keyBegin, window.keyEnd);
    spec.queries = range(window.queryBegin, window.queryEnd);
    return spec;
}

} // namespace kvloupe
