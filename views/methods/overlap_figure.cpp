// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/overlap_figure.h"

#include "views/chart/chart_panel.h"
#include "views/methods/overlap_model.h"

#include <QCoreApplication>

namespace kvloupe {

namespace {

QString translate(const char* text)
{
    return QCoreApplication::translate("OverlapFigure", text);
}

} // namespace

std::shared_ptr<const PanelData> readOverlap(const Recording& recording, const ReplaySpec& spec)
{
    requireMethods(spec, "overlap", 2);
    const ReplayedSample replayed = replaySample(recording, spec);
    std::vector<KeptOfMethod> kept;
    ChartPanel panel;
    panel.x.label = translate("method");
    panel.y.label = panel.x.label;
    ChartMatrix matrix;
    for (const ReplayedMethod& method : replayed.methods) {
        kept.push_back(method.kept);
        matrix.rowNames << method.title;
    }
    matrix.columnNames = matrix.rowNames;
    matrix.rows = static_cast<int>(replayed.methods.size());
    matrix.columns = matrix.rows;
    matrix.values = overlapMatrix(kept, replayed.sample->info.promptTokens);
    matrix.valueName = translate("Jaccard overlap");
    matrix.map = ColorMap::Cividis;
    matrix.showsValues = true;
    panel.matrix = std::move(matrix);
    Chart chart;
    chart.title = spec.title ? QString::fromStdString(*spec.title) : replayed.scope();
    chart.panels.push_back(std::move(panel));
    ChartPage page;
    page.heightMm = spec.heightMm;
    return std::make_shared<ChartPanelData>(std::move(chart), page, replayed.description(),
        translate("Tokens that two methods both keep over tokens that either keeps, mean over heads, %1.")
            .arg(replayed.circumstances()));
}

} // namespace kvloupe
