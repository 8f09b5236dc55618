// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/sparsity/sparsity_data.h"

#include "core/error.h"
#include "core/metrics/analysis.h"
#include "core/metrics/pair_comparison.h"
#include "views/figure/figure_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <utility>

namespace kvloupe {

namespace {

constexpr double missing = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t measureCount = allSparsityMeasures.size();
constexpr std::array comparedMetrics{Metric::Sparsity, Metric::Cumulative, Metric::SpanMass};

struct MeasureNames {
    SparsityMeasure measure;
    std::string_view column;
    std::string_view name;
};
constexpr std::array<MeasureNames, measureCount> measureNames{{
    {SparsityMeasure::Entropy, "entropy_nats", "entropy"},
    {SparsityMeasure::EffectiveKeys, "effective_keys_count", "effective-keys"},
    {SparsityMeasure::Gini, "gini_index", "gini"},
    {SparsityMeasure::Top1, "top_1_mass_fraction", "top-1"},
    {SparsityMeasure::Top8, "top_8_mass_fraction", "top-8"},
    {SparsityMeasure::Top64, "top_64_mass_fraction", "top-64"},
    {SparsityMeasure::Sink, "sink_mass_fraction", "sink"},
    {SparsityMeasure::RowMax, "row_max_fraction", "row-max"},
}};

/// A row of a metric's table by the names of its columns.
class NamedCells {
public:
    explicit NamedCells(const MeasureRow& row)
        : m_row(row)
    {
    }

    double number(std::string_view column) const
    {
        const MeasureCell* cell = find(column);
        if (cell == nullptr)
            return missing;
        if (const auto* count = std::get_if<std::int64_t>(cell))
            return static_cast<double>(*count);
        const auto* value = std::get_if<double>(cell);
        return value == nullptr ? missing : *value;
    }
    std::string_view text(std::string_view column) const
    {
        const MeasureCell* cell = find(column);
        const auto* value = cell == nullptr ? nullptr : std::get_if<std::string>(cell);
        return value == nullptr ? std::string_view() : *value;
    }
    BootstrapMean band(const std::string& side) const
    {
        return {number(side + "_mean"), number(side + "_low"), number(side + "_high")};
    }

private:
    const MeasureCell* find(std::string_view column) const
    {
        const auto found = std::ranges::find(m_row.metric->columns, column, &MetricColumn::name);
        return found == m_row.metric->columns.end()
            ? nullptr
            : &m_row.cells[static_cast<std::size_t>(found - m_row.metric->columns.begin())];
    }

    const MeasureRow& m_row;
};

bool isOfPrompt(const NamedCells& cells)
{
    return cells.text("queries") == "prompt";
}

/// Means over samples, cell by cell.
class MapMeans {
public:
    MapMeans(const std::vector<int>& layers, int heads)
        : m_layers(layers)
        , m_heads(static_cast<std::size_t>(heads))
    {
        for (std::vector<double>& sums : m_sums)
            sums.assign(m_layers.size() * m_heads, 0.0);
        m_counts = m_sums;
    }

    void add(const NamedCells& cells)
    {
        const auto layer = std::ranges::find(m_layers, static_cast<int>(cells.number("layer"))) - m_layers.begin();
        const auto place = static_cast<std::size_t>(layer) * m_heads + static_cast<std::size_t>(cells.number("head"));
        for (std::size_t measure = 0; measure < measureCount; ++measure) {
            const double value = cells.number(measureNames[measure].column);
            if (std::isnan(value))
                continue;
            m_sums[measure][place] += value;
            m_counts[measure][place] += 1.0;
        }
    }

    std::vector<double> mean(std::size_t measure) const
    {
        std::vector<double> result(m_sums[measure].size(), missing);
        for (std::size_t place = 0; place < result.size(); ++place)
            if (m_counts[measure][place] > 0.0)
                result[place] = m_sums[measure][place] / m_counts[measure][place];
        return result;
    }

private:
    std::vector<int> m_layers;
    std::size_t m_heads;
    std::array<std::vector<double>, measureCount> m_sums;
    std::array<std::vector<double>, measureCount> m_counts;
};

/// Rows of samples, kept until it is known what they are compared with.
struct MeasuredSide {
    std::vector<std::vector<MeasureRow>> samples; ///< by place among the samples that were measured
    std::vector<int> numbers; ///< of these samples in the recording
};

std::vector<int> samplesOf(const Recording& recording, const std::optional<std::string>& sample)
{
    if (sample)
        return {findSample(recording, *sample)};
    std::vector<int> all;
    for (int number = 0; number < recording.sampleCount(); ++number)
        if (!recording.layers(number).empty())
            all.push_back(number);
    if (all.empty())
        throw Error(fmt::format("{}: found no sample with attention, expected one", recording.path().string()));
    return all;
}

/// Layers that every sample has, so that no mean is over other samples than its neighbour's.
std::vector<int> commonLayers(const Recording& recording, const std::vector<int>& samples)
{
    std::vector<int> common = recording.layers(samples.front());
    for (const int sample : samples) {
        const std::vector<int> layers = recording.layers(sample);
        std::erase_if(common, [&](int layer) { return std::ranges::find(layers, layer) == layers.end(); });
    }
    return common;
}

bool measureSide(const Recording& recording, SparsityData::Side& side, MeasuredSide& measured,
    const std::function<bool(double)>& progress)
{
    RecordingCache cache(recording);
    AnalysisOptions options;
    options.metrics.assign(comparedMetrics.begin(), comparedMetrics.end());
    options.lastRows = 1; // the rows that "last" stands for are not shown
    options.cache = &cache;
    options.layers = side.layers;
    const Analysis analysis(recording, options);
    MapMeans maps(side.layers, side.heads);
    const auto count = static_cast<double>(measured.numbers.size());
    for (std::size_t index = 0; index < measured.numbers.size(); ++index) {
        const int number = measured.numbers[index];
        const SampleInfo& info = recording.sample(number);
        const PromptLayout layout(info.promptTokens, info.totalTokens, recording.readText(number).spans);
        std::vector<MeasureRow>& rows = measured.samples.emplace_back();
        const bool finished = analysis.run(
            number, layout,
            [&](const MeasureRow& row) {
                const NamedCells cells(row);
                if (row.metric->metric != Metric::Cumulative && !isOfPrompt(cells))
                    return;
                if (row.metric->metric == Metric::Sparsity)
                    maps.add(cells);
                rows.push_back(row);
            },
            [&](double done) { return progress((static_cast<double>(index) + done) / count); });
        if (!finished)
            return false;
    }
    for (std::size_t measure = 0; measure < measureCount; ++measure)
        side.maps[measure] = maps.mean(measure);
    return true;
}

/// Curves of a comparison, as side tells: "first", "second", "difference".
struct Curves {
    std::array<Band, measureCount> byLayer;
    std::array<std::map<double, BootstrapMean>, 2> cumulative; ///< by share
    std::map<std::string, Band> spanMass; ///< by kind, [layers]
};

std::map<std::string, Curves> curvesOf(const PairComparison& comparison, const std::vector<int>& layers)
{
    std::map<std::string, Curves> curves;
    for (const char* side : {"first", "second", "difference"})
        for (Band& band : curves[side].byLayer)
            band.assign(layers.size(), {missing, missing, missing});
    comparison.write({}, [&](const MeasureRow& row) {
        const NamedCells cells(row);
        const double layerNumber = cells.number("layer");
        for (auto& [side, curve] : curves) {
            if (row.metric->name == "cumulative") {
                if (std::isnan(layerNumber)) {
                    const std::size_t excluded = cells.number("excluded_tokens_count") > 0.0 ? 1 : 0;
                    curve.cumulative[excluded][cells.number("top_tokens_fraction")] = cells.band(side);
                }
                continue;
            }
            const auto layer = std::ranges::find(layers, static_cast<int>(layerNumber));
            if (row.metric->name == "span_mass") {
                if (std::isnan(layerNumber) || layer == layers.end() || cells.text("measure") != "mass_fraction")
                    continue;
                Band& band = curve.spanMass[std::string(cells.text("span"))];
                band.resize(layers.size(), {missing, missing, missing});
                band[static_cast<std::size_t>(layer - layers.begin())] = cells.band(side);
                continue;
            }
            const auto measure = std::ranges::find(measureNames, cells.text("measure"), &MeasureNames::column);
            if (!std::isnan(layerNumber) && layer != layers.end() && measure != measureNames.end())
                curve.byLayer[static_cast<std::size_t>(measure - measureNames.begin())]
                             [static_cast<std::size_t>(layer - layers.begin())]
                    = cells.band(side);
        }
    });
    return curves;
}

void takeCumulative(const Curves& curves, std::vector<double>& shares, std::array<Band, 2>& bands)
{
    for (std::size_t excluded = 0; excluded < 2; ++excluded) {
        shares.clear();
        bands[excluded].clear();
        for (const auto& [share, value] : curves.cumulative[excluded]) {
            shares.push_back(share);
            bands[excluded].push_back(value);
        }
    }
}

/// Masses in the order of `spans`, which grows by kinds that it does not have; kinds that a side lacks get nothing.
void takeSpans(const Curves& curves, std::size_t layers, std::vector<std::string>& spans, std::vector<Band>& bands)
{
    for (const auto& [kind, band] : curves.spanMass)
        if (std::ranges::find(spans, kind) == spans.end())
            spans.push_back(kind);
    bands.clear();
    for (const std::string& kind : spans) {
        const auto found = curves.spanMass.find(kind);
        bands.push_back(found != curves.spanMass.end() ? found->second : Band(layers, {missing, missing, missing}));
    }
}

void compareSide(SparsityData& data, SparsityData::Side& side, const MeasuredSide& measured)
{
    // A comparison of the recording with itself: its mean and interval are those of the table of a pair.
    PairComparison comparison(comparedMetrics);
    for (std::size_t sample = 0; sample < measured.samples.size(); ++sample)
        for (const MeasureRow& row : measured.samples[sample])
            for (const auto which : {PairComparison::Side::First, PairComparison::Side::Second})
                comparison.add(which, static_cast<int>(sample), row);
    auto curves = curvesOf(comparison, side.layers);
    side.byLayer = std::move(curves["first"].byLayer);
    takeCumulative(curves["first"], data.shares, side.cumulative);
    takeSpans(curves["first"], side.layers.size(), data.spans, side.spanMass);
}

void comparePairs(SparsityData& data, const std::vector<MeasuredSide>& measured,
    const std::vector<std::pair<std::size_t, std::size_t>>& pairs)
{
    PairComparison comparison(comparedMetrics);
    for (std::size_t pair = 0; pair < pairs.size(); ++pair) {
        for (const MeasureRow& row : measured[0].samples[pairs[pair].first])
            comparison.add(PairComparison::Side::First, static_cast<int>(pair), row);
        for (const MeasureRow& row : measured[1].samples[pairs[pair].second])
            comparison.add(PairComparison::Side::Second, static_cast<int>(pair), row);
    }
    auto curves = curvesOf(comparison, data.sides[0].layers);
    data.sides[0].byLayer = std::move(curves["first"].byLayer);
    data.sides[1].byLayer = std::move(curves["second"].byLayer);
    data.difference = std::move(curves["difference"].byLayer);
    takeCumulative(curves["first"], data.shares, data.sides[0].cumulative);
    takeCumulative(curves["second"], data.shares, data.sides[1].cumulative);
    takeCumulative(curves["difference"], data.shares, data.cumulativeDifference);
    const std::size_t layers = data.sides[0].layers.size();
    takeSpans(curves["first"], layers, data.spans, data.sides[0].spanMass);
    takeSpans(curves["second"], layers, data.spans, data.sides[1].spanMass);
    takeSpans(curves["difference"], layers, data.spans, data.spanDifference);
}

/// Brings spans into the order of their kinds, which is that of a prompt; what is in none comes last. Gives every side
/// all of them.
void sortSpans(SparsityData& data)
{
    std::vector<std::size_t> order(data.spans.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t span) {
        int kind = 0;
        while (kind < spanKindCount && spanKindName(static_cast<SpanKind>(kind)) != data.spans[span])
            ++kind;
        return kind;
    });
    const auto sorted = [&](std::vector<Band>& bands, std::size_t layers) {
        if (bands.empty())
            return;
        bands.resize(order.size(), Band(layers, {missing, missing, missing}));
        std::vector<Band> result;
        for (const std::size_t span : order)
            result.push_back(std::move(bands[span]));
        bands = std::move(result);
    };
    for (SparsityData::Side& side : data.sides)
        sorted(side.spanMass, side.layers.size());
    if (!data.sides.empty())
        sorted(data.spanDifference, data.sides[0].layers.size());
    std::vector<std::string> names;
    for (const std::size_t span : order)
        names.push_back(data.spans[span]);
    data.spans = std::move(names);
}

/// Names sides by the first of role, model and file name in which they differ.
void labelSides(std::vector<SparsityData::Side>& sides, const std::vector<std::string>& roles)
{
    const auto allDiffer = [](std::vector<std::string> names) {
        const std::set<std::string> different(names.begin(), names.end());
        return different.size() == names.size() && !different.contains("");
    };
    std::vector<std::string> models;
    std::vector<std::string> files;
    for (const SparsityData::Side& side : sides) {
        models.push_back(side.model);
        files.push_back(side.path.stem().string());
    }
    const std::vector<std::string>& names = sides.size() == 1 ? models
        : allDiffer(roles)                                    ? roles
        : allDiffer(models)                                   ? models
                                                              : files;
    for (std::size_t index = 0; index < sides.size(); ++index)
        sides[index].label = names[index];
}

} // namespace

std::string_view sparsityColumn(SparsityMeasure measure)
{
    return std::ranges::find(measureNames, measure, &MeasureNames::measure)->column;
}

std::string_view sparsityMeasureName(SparsityMeasure measure)
{
    return std::ranges::find(measureNames, measure, &MeasureNames::measure)->name;
}

std::optional<SparsityMeasure> sparsityMeasureFromName(std::string_view name)
{
    const auto found = std::ranges::find(measureNames, name, &MeasureNames::name);
    return found == measureNames.end() ? std::nullopt : std::optional(found->measure);
}

bool SparsityData::sameShape() const
{
    return sides.size() == 2 && sides[0].layers == sides[1].layers && sides[0].heads == sides[1].heads;
}

std::shared_ptr<const SparsityData> measureSparsity(
    const SparsityRequest& request, const std::function<bool(double)>& progress)
{
    auto data = std::make_shared<SparsityData>();
    std::vector<Recording> recordings;
    for (const std::filesystem::path& path : request.recordings)
        recordings.push_back(Recording::open(path));
    std::vector<MeasuredSide> measured(recordings.size());
    for (std::size_t index = 0; index < recordings.size(); ++index)
        measured[index].numbers
            = samplesOf(recordings[index], index == 0 ? request.sample : std::optional<std::string>());

    std::vector<std::pair<std::size_t, std::size_t>> pairs; // places among the measured samples
    if (recordings.size() == 2) {
        try {
            std::array<std::vector<int>, 2> numbers;
            for (const auto& [first, second] : pairedSamples(recordings[0], recordings[1])) {
                if (std::ranges::find(measured[0].numbers, first) == measured[0].numbers.end())
                    continue;
                pairs.emplace_back(pairs.size(), pairs.size());
                numbers[0].push_back(first);
                numbers[1].push_back(second);
            }
            if (!pairs.empty()) {
                measured[0].numbers = numbers[0];
                measured[1].numbers = numbers[1];
            } else {
                data->remark = fmt::format(
                    "{}: found none of these samples, by pair_id", recordings[1].path().filename().string());
            }
        } catch (const Error& error) {
            data->remark = error.what();
        }
    }
    data->pairs = static_cast<int>(pairs.size());

    std::vector<std::string> roles;
    for (std::size_t index = 0; index < recordings.size(); ++index) {
        const Recording& recording = recordings[index];
        SparsityData::Side& side = data->sides.emplace_back();
        side.path = recording.path();
        side.uuid = recording.info().uuid;
        side.model = recording.model().name;
        side.samples = static_cast<int>(measured[index].numbers.size());
        side.layers = commonLayers(recording, measured[index].numbers);
        side.heads = recording.model().numHeads;
        roles.push_back(recording.sample(measured[index].numbers.front()).role);
        const auto done = [&, share = static_cast<double>(index)](double fraction) {
            return progress((share + fraction) / static_cast<double>(recordings.size()));
        };
        if (!measureSide(recording, side, measured[index], done))
            return nullptr;
    }
    labelSides(data->sides, roles);
    if (!pairs.empty() && data->sameShape())
        comparePairs(*data, measured, pairs);
    else
        for (std::size_t index = 0; index < data->sides.size(); ++index)
            compareSide(*data, data->sides[index], measured[index]);
    sortSpans(*data);
    return data;
}

} // namespace kvloupe
