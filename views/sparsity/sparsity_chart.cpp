// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/sparsity/sparsity_chart.h"

#include <QCoreApplication>
#include <QLocale>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace kvloupe {

namespace {

QString translate(const char* text)
{
    return QCoreApplication::translate("SparsityChart", text);
}

std::size_t indexOf(SparsityMeasure measure)
{
    return static_cast<std::size_t>(std::ranges::find(allSparsityMeasures, measure) - allSparsityMeasures.begin());
}

QString labelOf(const SparsityData::Side& side)
{
    return QString::fromStdString(side.label);
}

QString differenceTitle(const SparsityData& data)
{
    return translate("%1 - %2").arg(labelOf(data.sides[1]), labelOf(data.sides[0]));
}

/// Widens [low, high] by the values.
void include(double& low, double& high, const std::vector<double>& values)
{
    for (const double value : values) {
        if (std::isnan(value))
            continue;
        low = std::min(low, value);
        high = std::max(high, value);
    }
}

ChartPanel mapPanel(const SparsityData::Side& side, const QString& title, std::vector<double> values,
    const QString& valueName, double low, double high)
{
    ChartPanel panel;
    panel.title = title;
    panel.x.label = translate("head");
    panel.y.label = translate("layer");
    ChartMatrix matrix;
    matrix.rows = static_cast<int>(side.layers.size());
    matrix.columns = side.heads;
    matrix.values = std::move(values);
    matrix.valueName = valueName;
    matrix.low = low;
    matrix.high = high > low ? high : low + 1.0;
    matrix.rowNumbers = side.layers;
    matrix.columnNumbers.resize(static_cast<std::size_t>(side.heads));
    std::iota(matrix.columnNumbers.begin(), matrix.columnNumbers.end(), 0);
    panel.matrix = std::move(matrix);
    return panel;
}

QString number(double value)
{
    return QLocale().toString(value, 'g', 4);
}

/// `places`: x of each value.
ChartSeries bandSeries(const QString& name, const SeriesStyles::Style& style, const Band& band,
    const std::vector<double>& places, const QString& xName, const QString& yName, int samples)
{
    ChartSeries series;
    series.name = name;
    series.color = style.color;
    series.mark = style.mark;
    series.band = true;
    for (std::size_t index = 0; index < band.size(); ++index) {
        if (std::isnan(band[index].mean))
            continue;
        ChartPoint point;
        point.x = places[index];
        point.y = band[index].mean;
        point.interval = Interval{band[index].low, band[index].high};
        point.count = samples;
        point.text = translate("%1\n%2 %3: %4 %5 (%6 to %7, bootstrap 95 %)")
                         .arg(name, xName, number(point.x), yName, number(point.y), number(band[index].low),
                             number(band[index].high));
        series.points.push_back(std::move(point));
    }
    return series;
}

void fitY(ChartPanel& panel)
{
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    for (const ChartReference& reference : panel.references)
        include(low, high, {reference.y});
    for (const ChartSeries& series : panel.series)
        for (const ChartPoint& point : series.points)
            include(low, high, {point.interval->low, point.interval->high});
    const auto range = niceRange(low, high);
    panel.y.low = range[0];
    panel.y.high = range[1];
}

ChartPanel layerPanel(const SparsityData& data, const QString& title, const QString& valueName)
{
    ChartPanel panel;
    panel.title = title;
    panel.x.label = translate("layer");
    panel.y.label = valueName;
    int last = 1;
    for (const SparsityData::Side& side : data.sides)
        if (!side.layers.empty())
            last = std::max(last, side.layers.back());
    panel.x.high = last;
    return panel;
}

std::vector<double> placesOf(const std::vector<int>& layers)
{
    return {layers.begin(), layers.end()};
}

QString titleOf(const SparsityData& data)
{
    QStringList models;
    for (const SparsityData::Side& side : data.sides)
        if (const QString model = QString::fromStdString(side.model); !models.contains(model))
            models << model;
    return models.join(translate(" and "));
}

QString intervalNote(const SparsityData& data)
{
    if (data.pairs > 0)
        return translate("Bands: 95 % bootstrap intervals over %1 pairs of samples and their heads.").arg(data.pairs);
    QStringList counts;
    for (const SparsityData::Side& side : data.sides)
        counts << QString::number(side.samples);
    const bool single
        = std::ranges::all_of(data.sides, [](const SparsityData::Side& side) { return side.samples == 1; });
    return single ? translate("Bands: 95 % bootstrap intervals over the heads of one sample; other samples may differ "
                              "by more.")
                  : translate("Bands: 95 % bootstrap intervals over %1 samples and their heads.")
                        .arg(counts.join(translate(" and ")));
}

const char* measureText(SparsityMeasure measure)
{
    switch (measure) {
    case SparsityMeasure::Entropy:
        return QT_TRANSLATE_NOOP("SparsityChart", "entropy (nats)");
    case SparsityMeasure::EffectiveKeys:
        return QT_TRANSLATE_NOOP("SparsityChart", "effective keys");
    case SparsityMeasure::Gini:
        return QT_TRANSLATE_NOOP("SparsityChart", "Gini index");
    case SparsityMeasure::Top1:
        return QT_TRANSLATE_NOOP("SparsityChart", "mass of the largest cell");
    case SparsityMeasure::Top8:
        return QT_TRANSLATE_NOOP("SparsityChart", "mass of the 8 largest cells");
    case SparsityMeasure::Top64:
        return QT_TRANSLATE_NOOP("SparsityChart", "mass of the 64 largest cells");
    case SparsityMeasure::Sink:
        return QT_TRANSLATE_NOOP("SparsityChart", "mass on the first 4 tokens");
    case SparsityMeasure::RowMax:
        break;
    }
    return QT_TRANSLATE_NOOP("SparsityChart", "largest probability");
}

} // namespace

QString sparsityLabel(SparsityMeasure measure)
{
    return translate(measureText(measure));
}

QString sparsityHelp(SparsityMeasure measure)
{
    switch (measure) {
    case SparsityMeasure::Entropy:
        return translate("H = -sum p ln p of a query's attention p over the keys it sees, in nats; mean over the "
                         "queries of the prompt. Small = concentrated. Short rows have small H because they are short");
    case SparsityMeasure::EffectiveKeys:
        return translate("exp(H): an even row of so many keys has this entropy; mean over the queries of the prompt");
    case SparsityMeasure::Gini:
        return translate("sum((2 i - n - 1) p_i) / (n sum p), p ascending over the n keys a query sees; 0 = even, "
                         "towards 1 = on one key; mean over the queries of the prompt");
    case SparsityMeasure::Top1:
    case SparsityMeasure::Top8:
    case SparsityMeasure::Top64:
        return translate("Sum of the largest 1, 8 or 64 probabilities of a query; mean over the queries of the prompt");
    case SparsityMeasure::Sink:
        return translate("Attention of a query on positions 0 to 3; mean over the queries of the prompt");
    case SparsityMeasure::RowMax:
        break;
    }
    return translate("Largest probability of a query; mean over the queries of the prompt");
}

QString cumulativeHelp()
{
    return translate("Tokens sorted by the attention a_k = sum over prompt queries of A[q][k] that they receive; y = "
                     "share of sum a on the x % of tokens with most. Without the first four tokens both axes are "
                     "normalised to what is left");
}

Chart sparsityChart(const SparsityData& data, SparsityMeasure measure)
{
    const std::size_t index = indexOf(measure);
    const QString label = sparsityLabel(measure);
    Chart chart;
    chart.title = titleOf(data);
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    for (const SparsityData::Side& side : data.sides)
        include(low, high, side.maps[index]);
    const auto range = niceRange(low, high);
    for (const SparsityData::Side& side : data.sides)
        chart.panels.push_back(mapPanel(side, data.sides.size() == 1 ? translate("layers and heads") : labelOf(side),
            side.maps[index], label, range[0], range[1]));
    if (data.sameShape()) {
        std::vector<double> difference = data.sides[1].maps[index];
        double most = 0.0;
        for (std::size_t cell = 0; cell < difference.size(); ++cell) {
            difference[cell] -= data.sides[0].maps[index][cell];
            if (!std::isnan(difference[cell]))
                most = std::max(most, std::abs(difference[cell]));
        }
        const double edge = most > 0.0 ? niceRange(0.0, most)[1] : 1.0;
        ChartPanel panel = mapPanel(data.sides[0], differenceTitle(data), std::move(difference),
            translate("difference, %1").arg(label), -edge, edge);
        panel.matrix->diverging = true;
        chart.panels.push_back(std::move(panel));
    }

    SeriesStyles styles;
    ChartPanel means = layerPanel(data, translate("mean of heads"), label);
    for (const SparsityData::Side& side : data.sides)
        means.series.push_back(bandSeries(labelOf(side), styles.of(side.label), side.byLayer[index],
            placesOf(side.layers), means.x.label, label, side.samples));
    fitY(means);
    chart.panels.push_back(std::move(means));
    if (!data.difference[index].empty()) {
        ChartPanel panel = layerPanel(data, differenceTitle(data), translate("difference, %1").arg(label));
        panel.references.push_back({translate("no difference"), 0.0});
        panel.series.push_back(bandSeries(translate("difference of pairs"), styles.of("difference"),
            data.difference[index], placesOf(data.sides[0].layers), panel.x.label, label, data.pairs));
        fitY(panel);
        chart.panels.push_back(std::move(panel));
    }
    chart.notes << translate("Means over the queries of the prompt. %1").arg(intervalNote(data));
    if (!data.remark.empty())
        chart.notes << translate("Not compared in pairs: %1").arg(QString::fromStdString(data.remark));
    return chart;
}

Chart cumulativeChart(const SparsityData& data)
{
    Chart chart;
    chart.title = titleOf(data);
    std::vector<double> places{0.0};
    for (const double share : data.shares)
        places.push_back(100.0 * share);
    for (std::size_t excluded = 0; excluded < 2; ++excluded) {
        ChartPanel panel;
        panel.title = excluded == 0 ? translate("all tokens") : translate("without the first 4 tokens");
        panel.x.label = translate("most attended tokens (%)");
        panel.x.high = 100.0;
        panel.y.label = translate("attention (%)");
        panel.y.high = 100.0;
        SeriesStyles styles;
        for (const SparsityData::Side& side : data.sides) {
            Band percent{{0.0, 0.0, 0.0}};
            for (const BootstrapMean& value : side.cumulative[excluded])
                percent.push_back({100.0 * value.mean, 100.0 * value.low, 100.0 * value.high});
            panel.series.push_back(bandSeries(
                labelOf(side), styles.of(side.label), percent, places, panel.x.label, panel.y.label, side.samples));
        }
        chart.panels.push_back(std::move(panel));
    }
    chart.notes << translate("Attention received from all prompt queries; means over layers, heads and samples. %1")
                       .arg(intervalNote(data));
    if (!data.remark.empty())
        chart.notes << translate("Not compared in pairs: %1").arg(QString::fromStdString(data.remark));
    return chart;
}

QString spanMassHelp()
{
    return translate("Attention of all prompt queries on the tokens of a kind of span / attention on all tokens, mean "
                     "over heads and samples. A token belongs to the shortest span that covers it");
}

Chart spanMassChart(const SparsityData& data)
{
    Chart chart;
    chart.title = titleOf(data);
    if (data.spans.empty())
        return chart;
    const QString label = translate("attention (%)");
    double most = 0.0;
    double apart = 0.0;
    const auto percentOf = [](const std::vector<Band>& bands, double& largest) {
        std::vector<double> values;
        for (const Band& band : bands) {
            for (const BootstrapMean& value : band) {
                values.push_back(100.0 * value.mean);
                if (!std::isnan(value.mean))
                    largest = std::max(largest, std::abs(values.back()));
            }
        }
        return values;
    };
    const auto addPanel = [&](const QString& title, const std::vector<int>& layers, std::vector<double> values) {
        ChartPanel& panel = chart.panels.emplace_back();
        panel.title = title;
        panel.x.label = translate("layer");
        panel.y.label = translate("span");
        ChartMatrix matrix;
        matrix.rows = static_cast<int>(data.spans.size());
        matrix.columns = static_cast<int>(layers.size());
        matrix.values = std::move(values);
        for (const std::string& span : data.spans)
            matrix.rowNames << QString::fromStdString(span);
        matrix.columnNumbers = layers;
        matrix.valueName = label;
        panel.matrix = std::move(matrix);
    };
    for (const SparsityData::Side& side : data.sides)
        addPanel(data.sides.size() == 1 ? translate("attention on spans")
                                        : translate("%1: attention on spans").arg(labelOf(side)),
            side.layers, percentOf(side.spanMass, most));
    const double high = most > 0.0 ? niceRange(0.0, most)[1] : 1.0;
    for (ChartPanel& panel : chart.panels)
        panel.matrix->high = high;
    if (!data.spanDifference.empty()) {
        addPanel(differenceTitle(data), data.sides[0].layers, percentOf(data.spanDifference, apart));
        ChartMatrix& matrix = *chart.panels.back().matrix;
        matrix.valueName = translate("difference, attention (points)");
        matrix.high = apart > 0.0 ? niceRange(0.0, apart)[1] : 1.0;
        matrix.low = -matrix.high;
        matrix.diverging = true;
    }
    chart.notes << spanMassHelp();
    return chart;
}

Chart sparsityOverview(const SparsityData& data, SparsityMeasure measure)
{
    Chart chart = sparsityChart(data, measure);
    for (Chart more : {cumulativeChart(data), spanMassChart(data)})
        std::ranges::move(more.panels, std::back_inserter(chart.panels));
    return chart;
}

QString sparsityDescription(const SparsityData& data)
{
    QStringList facts;
    for (const SparsityData::Side& side : data.sides)
        facts << translate("recording %1, model %2, %3 samples")
                     .arg(QString::fromStdString(side.uuid), QString::fromStdString(side.model))
                     .arg(side.samples);
    return facts.join(QStringLiteral("; "));
}

} // namespace kvloupe
