// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/figure/figure_data.h"

#include "core/methods/method_registry.h"
#include "core/replay/replay.h"
#include "views/figure/figure_layout.h"
#include "views/heatmap/tile_source.h"
#include "views/methods/method_model.h"

#include <QCoreApplication>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kvloupe {

namespace {

TokenRange resolve(const std::optional<TokenRange>& wanted, std::int64_t tokens, std::string_view field)
{
    if (!wanted)
        return {0, tokens};
    const TokenRange range{wanted->begin, wanted->end < 0 ? tokens : wanted->end};
    if (range.begin < 0 || range.begin >= range.end || range.end > tokens)
        throw FigureError(fmt::format("{}: found {}:{}, expected a range within the {} tokens of the prompt", field,
            range.begin, range.end, tokens));
    return range;
}

/// Copies the part of a level that covers the ranges out of its tiles.
void readCells(FigureData& data, AttentionTiles& tiles)
{
    const std::int64_t lastRow = (data.queries.end - 1) >> data.level;
    const std::int64_t lastColumn = (data.keys.end - 1) >> data.level;
    data.firstRow = data.queries.begin >> data.level;
    data.firstColumn = data.keys.begin >> data.level;
    data.rows = lastRow - data.firstRow + 1;
    data.columns = lastColumn - data.firstColumn + 1;
    data.cells.assign(static_cast<std::size_t>(data.rows * data.columns), 0);
    for (std::int64_t tileRow = data.firstRow / tileSize; tileRow <= lastRow / tileSize; ++tileRow) {
        for (std::int64_t tileColumn = data.firstColumn / tileSize; tileColumn <= lastColumn / tileSize; ++tileColumn) {
            if (tileColumn > tileRow)
                continue;
            const std::vector<Half> tile = tiles.read({data.sample->sample, data.spec.layer, data.spec.head, data.level,
                data.spec.pooling, tileRow, tileColumn});
            const std::int64_t columnBegin = std::max(data.firstColumn, tileColumn * tileSize);
            const std::int64_t columnEnd = std::min(lastColumn + 1, (tileColumn + 1) * tileSize);
            for (std::int64_t row = std::max(data.firstRow, tileRow * tileSize);
                 row < std::min(lastRow + 1, (tileRow + 1) * tileSize); ++row) {
                const auto from
                    = tile.begin() + (row - tileRow * tileSize) * tileSize + (columnBegin - tileColumn * tileSize);
                std::copy(from, from + (columnEnd - columnBegin),
                    data.cells.begin() + (row - data.firstRow) * data.columns + (columnBegin - data.firstColumn));
            }
        }
    }
}

FigureStrip replay(const Recording& recording, const FigureData& data, const std::string& spec, int index)
{
    const Method method = parseMethod(spec);
    FigureStrip strip;
    strip.name = QString::fromStdString(findMethod(method.name).title);
    strip.spec = spec;
    strip.color = methodColor(method.name, index);
    KeepSet kept;
    if (method.layerPruner || method.chooser->scope() == ChooserScope::Model) {
        const std::vector<ScoredSample> scored = Replay(recording).score(data.sample->sample, std::span(&method, 1));
        kept = scored.at(0).chooseLayer(data.spec.budget, data.spec.layer);
    } else {
        const OwnedEvidence evidence
            = EvidenceBuilder(recording).build(data.sample->sample, data.spec.layer, method.needs(data.sample->layout));
        const ScoredSample scored(method, data.sample->layout, std::span(&evidence.view, 1), data.sample->sample);
        kept = scored.chooseLayer(data.spec.budget, data.spec.layer);
    }
    const int set
        = kept.granularity == Granularity::QueryHead ? data.spec.head : data.spec.head / data.sample->model.groupSize();
    strip.kept = kept.sets.at(static_cast<std::size_t>(set));
    return strip;
}

} // namespace

double FigureStrip::keptShare(std::int64_t begin, std::int64_t end) const
{
    if (end <= begin)
        return 0.0;
    const auto first = std::ranges::lower_bound(kept, begin);
    const auto last = std::ranges::lower_bound(kept, end);
    return static_cast<double>(last - first) / static_cast<double>(end - begin);
}

QString FigureData::poolingText() const
{
    if (level == 0)
        return {};
    return QCoreApplication::translate("AttentionFigure", "%1 of %2 \u00D7 %2")
        .arg(QString::fromUtf8(
            poolingName(spec.pooling).data(), static_cast<qsizetype>(poolingName(spec.pooling).size())))
        .arg(std::int64_t{1} << level);
}

int findSample(const Recording& recording, const std::string& sample)
{
    for (int index = 0; index < recording.sampleCount(); ++index) {
        if (recording.sample(index).id == sample)
            return index;
    }
    int number = -1;
    const auto [stop, error] = std::from_chars(sample.data(), sample.data() + sample.size(), number);
    if (error != std::errc() || stop != sample.data() + sample.size() || number < 0
        || number >= recording.sampleCount())
        throw FigureError(fmt::format("{}: no sample \"{}\", expected an id or a number from 0 to {}",
            recording.path().string(), sample, recording.sampleCount() - 1));
    return number;
}

FigureData gatherFigure(const Recording& recording, AttentionTiles& tiles, const FigureSpec& spec)
{
    checkFigureSpec(spec);
    FigureData data;
    data.spec = spec;
    data.recordingUuid = recording.info().uuid;
    data.sample = readSampleModel(recording, findSample(recording, spec.sample));
    const SampleModel& sample = *data.sample;
    const LayerInfo* layer = sample.findLayer(spec.layer);
    if (!layer) {
        std::vector<int> recorded;
        for (const LayerInfo& info : sample.layers)
            recorded.push_back(info.layer);
        throw FigureError(fmt::format("{}: layer {} was not recorded, expected one of {}", recording.path().string(),
            spec.layer, fmt::join(recorded, ", ")));
    }
    if (spec.head < 0 || spec.head >= sample.model.numHeads)
        throw FigureError(fmt::format(
            "{}: head {}, expected 0 to {}", recording.path().string(), spec.head, sample.model.numHeads - 1));
    if (!tiles.available(sample.sample, spec.layer, spec.head))
        throw FigureError(
            fmt::format("{}: layer {} head {} has neither a map nor queries and keys; record with --record qk",
                recording.path().string(), spec.layer, spec.head));
    data.queries = resolve(spec.queries, sample.info.promptTokens, "queries");
    data.keys = resolve(spec.keys, sample.info.promptTokens, "keys");

    for (const std::string& method : spec.methods)
        data.strips.push_back(replay(recording, data, method, static_cast<int>(data.strips.size())));

    const QSize pixels = figureMapPixels(data);
    const double cellsPerPixel = std::max(static_cast<double>(data.keys.size()) / pixels.width(),
        static_cast<double>(data.queries.size()) / pixels.height());
    // The finest level whose bins are at least one pixel: no bin is skipped when pixels are looked up in bins.
    data.level = finestLevel(*layer, spec.head).value_or(0);
    while (static_cast<double>(std::int64_t{1} << data.level) < cellsPerPixel)
        ++data.level;
    readCells(data, tiles);
    return data;
}

} // namespace kvloupe
