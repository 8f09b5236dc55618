// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/pair_comparison.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

namespace kvloupe {

namespace {

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

/// Keys of what is compared, by name; cells compare as variants do.
using Keys = std::vector<std::pair<std::string, MeasureCell>>;

bool isOneOf(std::string_view name, std::initializer_list<std::string_view> names)
{
    return std::ranges::find(names, name) != names.end();
}

bool isUnit(std::string_view name)
{
    return isOneOf(name, {"head", "other_head"});
}

bool isPlace(std::string_view name)
{
    return isOneOf(name, {"recording", "sample", "id"});
}

/// The table of a comparison of `metric`.
MetricInfo pairTable(const MetricInfo& metric)
{
    MetricInfo table = metric;
    table.columns = {{"measure", true}};
    for (const MetricColumn& column : metric.columns)
        if (column.isKey && !isPlace(column.name) && !isUnit(column.name)
            && !(metric.sharesOfOne && column.name == "shot"))
            table.columns.push_back(column);
    for (const char* column : {"samples_count", "heads_count", "first_mean", "first_low", "first_high", "second_mean",
             "second_low", "second_high", "difference_mean", "difference_low", "difference_high"})
        table.columns.push_back({column, false});
    return table;
}

double number(const MeasureCell& cell)
{
    if (const auto* count = std::get_if<std::int64_t>(&cell))
        return static_cast<double>(*count);
    const auto* value = std::get_if<double>(&cell);
    return value != nullptr ? *value : missing;
}

/// A head, or a pair of heads, of a layer.
using Unit = std::vector<std::int64_t>;
using Place = std::pair<int, Unit>; ///< pair number and unit

/// Measures of both sides under the same keys.
struct Group {
    std::array<std::map<Place, std::vector<double>>, 2> values; ///< by side; one number per measure
};

} // namespace

struct PairComparison::State {
    struct Table {
        MetricInfo info;
        const MetricInfo* metric = nullptr;
        std::map<Keys, Group> groups;
        /// Where a side was measured at all, whatever its spans: keys without span, and place.
        std::array<std::set<std::pair<Keys, Place>>, 2> measured;
    };
    std::vector<Table> tables;

    void addTo(Table& table, std::size_t side, int pair, const MeasureRow& row, bool allLayers);
    void writeGroup(const Table& table, const Keys& keys, const Group& group, const BootstrapOptions& options,
        const std::function<void(const MeasureRow&)>& sink) const;
};

PairComparison::PairComparison(std::span<const Metric> metrics)
    : m_state(std::make_unique<State>())
{
    for (const Metric metric : metrics) {
        const MetricInfo& info = metricInfo(metric);
        if (metric == Metric::SparsityRows)
            throw Error(fmt::format("metric {}: queries of two recordings are not the same, expected another metric "
                                    "for a comparison (sparsity is its mean)",
                info.name));
        m_state->tables.push_back({pairTable(info), &info, {}, {}});
    }
}

PairComparison::~PairComparison() = default;

void PairComparison::State::addTo(Table& table, std::size_t side, int pair, const MeasureRow& row, bool allLayers)
{
    Keys keys;
    Keys keysWithoutSpan;
    Place place{pair, {}};
    std::vector<double> measures;
    for (std::size_t column = 0; column < row.cells.size(); ++column) {
        const auto& [name, isKey] = row.metric->columns[column];
        const MeasureCell& cell = row.cells[column];
        if (!isKey) {
            measures.push_back(number(cell));
        } else if (isUnit(name) || name == "layer") {
            if (const auto* index = std::get_if<std::int64_t>(&cell))
                place.second.push_back(*index);
            if (name == "layer") {
                keys.emplace_back(name, allLayers ? MeasureCell() : cell);
                keysWithoutSpan.push_back(keys.back());
            }
        } else if (!isPlace(name) && !(table.metric->sharesOfOne && name == "shot")) {
            keys.emplace_back(name, cell);
            if (name != "span")
                keysWithoutSpan.emplace_back(name, cell);
        }
    }
    if (table.metric->sharesOfOne)
        table.measured[side].emplace(std::move(keysWithoutSpan), place);
    const auto [stored, isNew] = table.groups[std::move(keys)].values[side].try_emplace(place, measures);
    if (!isNew) // another shot of the same prompt
        for (std::size_t index = 0; index < measures.size(); ++index)
            stored->second[index] += measures[index];
}

void PairComparison::add(Side side, int pair, const MeasureRow& row)
{
    const auto table = std::ranges::find(m_state->tables, row.metric, &State::Table::metric);
    const auto index = static_cast<std::size_t>(side);
    m_state->addTo(*table, index, pair, row, false);
    const auto hasColumn = [&](std::string_view name) {
        return std::ranges::find(row.metric->columns, name, &MetricColumn::name) != row.metric->columns.end();
    };
    if (hasColumn("head") && !hasColumn("other_layer"))
        m_state->addTo(*table, index, pair, row, true);
}

std::vector<const MetricInfo*> PairComparison::tables() const
{
    std::vector<const MetricInfo*> result;
    for (const State::Table& table : m_state->tables)
        result.push_back(&table.info);
    return result;
}

void PairComparison::State::writeGroup(const Table& table, const Keys& keys, const Group& group,
    const BootstrapOptions& options, const std::function<void(const MeasureRow&)>& sink) const
{
    Keys keysWithoutSpan = keys;
    std::erase_if(keysWithoutSpan, [](const auto& key) { return key.first == "span"; });
    std::size_t measureCount = 0;
    std::map<Unit, std::size_t> units;
    std::map<int, std::size_t> pairs;
    std::set<Place> places;
    for (const auto& side : group.values)
        for (const auto& [place, measures] : side) {
            places.insert(place);
            measureCount = measures.size();
        }
    const auto valuesAt = [&](std::size_t side, const Place& place) -> std::vector<double> {
        const auto found = group.values[side].find(place);
        if (found != group.values[side].end())
            return found->second;
        const bool isNothing = table.measured[side].contains({keysWithoutSpan, place});
        return std::vector<double>(isNothing ? measureCount : 0, 0.0);
    };
    std::erase_if(places, [&](const Place& place) { return valuesAt(0, place).empty() || valuesAt(1, place).empty(); });
    for (const Place& place : places) {
        pairs.try_emplace(place.first, pairs.size());
        units.try_emplace(place.second, units.size());
    }
    if (places.empty())
        return;

    // Per measure: first, second and their difference, [pairs, units].
    std::vector<std::vector<double>> series(
        3 * measureCount, std::vector<double>(pairs.size() * units.size(), missing));
    for (const Place& place : places) {
        const std::size_t at = pairs.at(place.first) * units.size() + units.at(place.second);
        const auto first = valuesAt(0, place);
        const auto second = valuesAt(1, place);
        for (std::size_t measure = 0; measure < measureCount; ++measure) {
            const bool both = !std::isnan(first[measure]) && !std::isnan(second[measure]);
            series[3 * measure][at] = both ? first[measure] : missing;
            series[3 * measure + 1][at] = both ? second[measure] : missing;
            series[3 * measure + 2][at] = second[measure] - first[measure];
        }
    }
    const auto means = bootstrapMeans(series, static_cast<int>(pairs.size()), static_cast<int>(units.size()), options);
    std::vector<std::string> names;
    for (const MetricColumn& column : table.metric->columns)
        if (!column.isKey)
            names.push_back(column.name);
    for (std::size_t measure = 0; measure < measureCount; ++measure) {
        MeasureRow row{&table.info, {names[measure]}};
        for (const auto& [name, cell] : keys)
            row.cells.push_back(cell);
        row.cells.emplace_back(std::ssize(pairs));
        row.cells.emplace_back(std::ssize(units));
        for (std::size_t part = 0; part < 3; ++part) {
            const BootstrapMean& mean = means[3 * measure + part];
            for (const double value : {mean.mean, mean.low, mean.high})
                row.cells.emplace_back(value);
        }
        sink(row);
    }
}

void PairComparison::write(const BootstrapOptions& options, const std::function<void(const MeasureRow&)>& sink) const
{
    for (const State::Table& table : m_state->tables)
        for (const auto& [keys, group] : table.groups)
            m_state->writeGroup(table, keys, group, options, sink);
}

std::vector<std::pair<int, int>> pairedSamples(const Recording& first, const Recording& second)
{
    const auto shape = [](const ModelInfo& model) {
        return std::tuple{model.numLayers, model.numHeads, model.numKvHeads};
    };
    if (shape(first.model()) != shape(second.model()))
        throw Error(fmt::format("{}: found {} layers, {} heads and {} KV heads, expected {}, {} and {} as in {}",
            second.path().string(), second.model().numLayers, second.model().numHeads, second.model().numKvHeads,
            first.model().numLayers, first.model().numHeads, first.model().numKvHeads, first.path().string()));
    std::map<std::string, std::vector<int>> byPairId;
    for (int sample = second.sampleCount() - 1; sample >= 0; --sample)
        byPairId[second.sample(sample).pairId].push_back(sample);
    std::vector<std::pair<int, int>> pairs;
    for (int sample = 0; sample < first.sampleCount(); ++sample) {
        const std::string& pairId = first.sample(sample).pairId;
        auto& others = byPairId[pairId];
        if (pairId.empty() || others.empty())
            continue;
        pairs.emplace_back(sample, others.back());
        others.pop_back();
    }
    if (pairs.empty())
        throw Error(fmt::format("{}: no sample has the pair_id of one in {}; record both from prompts with the same "
                                "pair_id (--prompts F.jsonl)",
            second.path().string(), first.path().string()));
    return pairs;
}

} // namespace kvloupe
