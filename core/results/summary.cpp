// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/results/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

namespace kvloupe {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr std::array<std::pair<SummaryField, std::string_view>, 7> fieldNames{{{SummaryField::Task, "task"},
    {SummaryField::Shots, "shots"}, {SummaryField::Level, "level"}, {SummaryField::Seed, "seed"},
    {SummaryField::MaxNewTokens, "max_new_tokens"}, {SummaryField::Method, "method"}, {SummaryField::Budget, "keep"}}};

/// Texts that no text of a file can hold by accident are told apart by lengths in front.
void append(std::string& key, std::string_view part)
{
    key += fmt::format("{}:{};", part.size(), part);
}

template <typename... Parts> std::string joined(const Parts&... parts)
{
    std::string key;
    (append(key, fmt::format("{}", parts)), ...);
    return key;
}

std::string modelKey(const ResultModel& model)
{
    return joined(
        model.fileSha256, model.adapterSha256.value_or(""), model.tokenizerSha256, model.architecture, model.dtype);
}

std::string methodKey(const ResultMethod& method)
{
    std::string key = joined(method.name, method.granularity);
    for (const auto& [name, value] : method.parameters)
        key += joined(name, value);
    return key;
}

std::string sampleKey(const ResultRow& row)
{
    return joined(
        row.key.task, row.key.sample, row.key.shots, row.key.level, row.key.seed, row.prompt.sha256, row.maxNewTokens);
}

/// What a row says, as numbers whose mean over the rows of a sample makes sense; NaN = not measured.
struct Measured {
    double score = nan;
    double nll = nan;
    double kl = nan;
    double outputTokens = nan;
    double limit = nan;
    double promptTokens = nan;
    double requestedShare = nan;
    double requestedTokens = nan;
    double realisedShare = nan;
    double realisedTokens = nan;
    double cachedTokens = nan;
};
constexpr std::array measures{&Measured::score, &Measured::nll, &Measured::kl, &Measured::outputTokens,
    &Measured::limit, &Measured::promptTokens, &Measured::requestedShare, &Measured::requestedTokens,
    &Measured::realisedShare, &Measured::realisedTokens, &Measured::cachedTokens};

double meanOf(const std::vector<double>& values)
{
    double sum = 0.0;
    for (const double value : values)
        sum += value;
    return values.empty() ? nan : sum / static_cast<double>(values.size());
}

Measured measuredOf(const ResultRow& row, const ResultOutcome& outcome)
{
    Measured one;
    one.score = outcome.score;
    if (outcome.nllGoldTokens > 0)
        one.nll = outcome.nllGoldSum / static_cast<double>(outcome.nllGoldTokens);
    one.kl = outcome.klToFull.value_or(nan);
    one.outputTokens = static_cast<double>(outcome.ids.size());
    one.limit = outcome.stop == "length" ? 1.0 : 0.0;
    one.promptTokens = static_cast<double>(row.prompt.tokens);
    one.requestedShare = row.budget.keep;
    one.requestedTokens = static_cast<double>(row.budget.requestedTokens);
    one.realisedShare = outcome.realisedShare;
    one.realisedTokens = outcome.realisedPerLayer.empty() ? outcome.realisedShare * one.promptTokens
                                                          : meanOf(outcome.realisedPerLayer);
    one.cachedTokens = outcome.meanCachedTokens;
    return one;
}

/// Mean of each measure over those that have it.
template <typename List> Measured meanMeasured(const List& list)
{
    Measured mean;
    for (double Measured::*const measure : measures) {
        std::vector<double> values;
        for (const Measured& one : list)
            if (!std::isnan(one.*measure))
                values.push_back(one.*measure);
        mean.*measure = meanOf(values);
    }
    return mean;
}

std::optional<double> optionalOf(double value)
{
    return std::isnan(value) ? std::nullopt : std::optional(value);
}

/// Numbers in the order in which texts were met.
class Order {
public:
    int of(const std::string& text)
    {
        return m_numbers.try_emplace(text, static_cast<int>(m_numbers.size())).first->second;
    }

private:
    std::map<std::string, int> m_numbers;
};

/// The rows of a cell by sample, and by method and budget within it.
struct CellRows {
    SummaryCell cell; ///< its keys
    std::string family; ///< key without the method
    std::string base; ///< what its full-cache runs share with it
    std::array<int, 2> order{}; ///< when its model and settings, and its method, were first met
    int taskOrder = 0;
    std::map<std::string, std::map<std::string, Measured>> samples;
    std::map<std::pair<std::string, std::string>, std::size_t> numbers; ///< of the last row of a sample and branch
    std::set<std::string> skipped;
    std::set<std::string> granularities;
    std::set<std::string> fidelities;
};

using SampleMeans = std::map<std::string, Measured>;

SampleMeans sampleMeans(const CellRows& rows)
{
    SampleMeans result;
    for (const auto& [sample, branches] : rows.samples) {
        std::vector<Measured> list;
        for (const auto& [branch, measured] : branches)
            list.push_back(measured);
        result.emplace(sample, list.size() == 1 ? list.front() : meanMeasured(list));
    }
    return result;
}

void describe(SummaryCell& cell, const SampleMeans& samples)
{
    std::vector<Measured> list;
    double score = 0.0;
    for (const auto& [sample, measured] : samples) {
        list.push_back(measured);
        score += measured.score;
    }
    const Measured mean = meanMeasured(list);
    cell.samples = static_cast<std::int64_t>(list.size());
    cell.accuracy = mean.score;
    cell.accuracyInterval = wilsonInterval(score, cell.samples);
    cell.limitShare = mean.limit;
    cell.nll = optionalOf(mean.nll);
    cell.promptTokens = mean.promptTokens;
    cell.requestedShare = mean.requestedShare;
    cell.requestedTokens = mean.requestedTokens;
    cell.realisedShare = mean.realisedShare;
    cell.realisedTokens = mean.realisedTokens;
    cell.meanCachedTokens = mean.cachedTokens;
}

void compare(SummaryCell& cell, const SampleMeans& samples, const SampleMeans& full)
{
    double score = 0.0;
    double fullScore = 0.0;
    double tokens = 0.0;
    double fullTokens = 0.0;
    std::vector<double> nll;
    std::vector<double> kl;
    for (const auto& [sample, one] : samples) {
        const auto found = full.find(sample);
        if (found == full.end())
            continue;
        const Measured& base = found->second;
        ++cell.pairs;
        score += one.score;
        fullScore += base.score;
        cell.lost += one.score < base.score ? 1 : 0;
        cell.gained += one.score > base.score ? 1 : 0;
        tokens += one.outputTokens;
        fullTokens += base.outputTokens;
        if (!std::isnan(one.nll) && !std::isnan(base.nll))
            nll.push_back(one.nll - base.nll);
        if (!std::isnan(one.kl))
            kl.push_back(one.kl);
    }
    if (cell.pairs == 0)
        return;
    cell.relativeDrop = optionalOf(relativeDrop(score, fullScore));
    cell.mcnemar = mcnemarTest(cell.lost, cell.gained);
    cell.klToFull = optionalOf(meanOf(kl));
    if (fullTokens > 0.0)
        cell.lengthRatio = tokens / fullTokens;
    if (!nll.empty()) {
        const std::vector<std::vector<double>> series{nll};
        cell.nllDifference = bootstrapMeans(series, static_cast<int>(nll.size()), 1).front();
    }
}

void correct(std::vector<SummaryCell>& cells, const std::vector<const CellRows*>& rows)
{
    std::map<std::string, std::vector<std::size_t>> families;
    for (std::size_t index = 0; index < cells.size(); ++index)
        if (cells[index].mcnemar)
            families[rows[index]->family].push_back(index);
    for (const auto& [family, members] : families) {
        std::vector<double> values;
        for (const std::size_t index : members)
            values.push_back(cells[index].mcnemar->p);
        const std::vector<double> corrected = holmCorrected(values);
        for (std::size_t place = 0; place < members.size(); ++place)
            cells[members[place]].pHolm = corrected[place];
    }
}

void labelModels(std::vector<SummaryCell>& cells)
{
    std::map<std::string, std::set<std::string>> files;
    for (SummaryCell& cell : cells) {
        cell.modelLabel = cell.model.name;
        if (cell.model.adapterSha256)
            cell.modelLabel += " + adapter " + cell.model.adapterSha256->substr(0, 8);
        files[cell.modelLabel].insert(cell.model.fileSha256 + cell.model.tokenizerSha256);
    }
    for (SummaryCell& cell : cells)
        if (files[cell.modelLabel].size() > 1)
            cell.modelLabel += fmt::format(
                " ({}, tokenizer {})", cell.model.fileSha256.substr(0, 8), cell.model.tokenizerSha256.substr(0, 8));
}

std::string joinedNames(const std::set<std::string>& names)
{
    std::string result;
    for (const std::string& name : names)
        result += (result.empty() ? "" : "+") + name;
    return result;
}

} // namespace

std::string_view summaryFieldName(SummaryField field)
{
    return std::ranges::find(fieldNames, field, &decltype(fieldNames)::value_type::first)->second;
}

std::vector<std::string> summaryFieldNames()
{
    std::vector<std::string> names;
    for (const auto& [field, name] : fieldNames)
        names.emplace_back(name);
    return names;
}

std::optional<SummaryField> summaryFieldFromName(std::string_view name)
{
    if (name == "budget")
        return SummaryField::Budget;
    const auto found = std::ranges::find(fieldNames, name, &decltype(fieldNames)::value_type::second);
    return found == fieldNames.end() ? std::nullopt : std::optional(found->first);
}

std::set<SummaryField> defaultSummaryFields()
{
    std::set<SummaryField> fields;
    for (const auto& [field, name] : fieldNames)
        if (field != SummaryField::Seed)
            fields.insert(field);
    return fields;
}

struct SummaryBuilder::State {
    std::set<SummaryField> by;
    std::map<std::string, CellRows> cells;
    std::map<std::string, std::string> specs; ///< by method key
    Order settingsOrder;
    Order methodOrder;
    Order taskOrder;
    std::int64_t repeatedRows = 0;
    std::size_t rowsSeen = 0;

    /// `value` if the summary is split by `field`.
    template <typename Value> std::optional<Value> split(SummaryField field, Value value) const
    {
        return by.contains(field) ? std::optional<Value>(std::move(value)) : std::nullopt;
    }

    CellRows& cellOf(const ResultRow& row)
    {
        const bool full = row.method.name == "full";
        const std::string method = methodKey(row.method);
        const std::string base = joined(modelKey(row.model), row.suite, row.dataSha256.value_or(""), row.prompt.chat);
        std::string settings = base + joined(row.firstToken, row.prompt.compressSpan, row.decodeKeep.value_or(""));
        SummaryCell cell;
        cell.task = split(SummaryField::Task, row.key.task);
        cell.shots = split(SummaryField::Shots, row.key.shots);
        cell.level = split(SummaryField::Level, row.key.level);
        cell.seed = split(SummaryField::Seed, row.key.seed);
        cell.maxNewTokens = split(SummaryField::MaxNewTokens, row.maxNewTokens);
        cell.method = split(SummaryField::Method, specs.try_emplace(method, row.method.spec).first->second);
        cell.budgetKind = split(SummaryField::Budget, row.budget.kind);
        cell.budget = split(SummaryField::Budget, row.budget.text);
        const std::string family = joined(settings, cell.task.value_or(""), cell.shots.value_or(0),
            cell.level.value_or(0), cell.seed.value_or(0), cell.maxNewTokens.value_or(0), cell.budgetKind.value_or(""),
            cell.budget.value_or(""), full);
        const std::string key = cell.method ? joined(family, method) : family;
        const auto [place, isNew] = cells.try_emplace(key);
        CellRows& rows = place->second;
        if (!isNew)
            return rows;
        cell.model = row.model;
        cell.suite = row.suite;
        cell.dataSha256 = row.dataSha256;
        cell.chat = row.prompt.chat;
        cell.firstToken = row.firstToken;
        cell.compressSpan = row.prompt.compressSpan;
        cell.decodeKeep = row.decodeKeep;
        cell.full = full;
        rows.cell = std::move(cell);
        rows.family = family;
        rows.base = base;
        rows.order = {settingsOrder.of(settings), methodOrder.of(method)};
        rows.taskOrder = taskOrder.of(row.key.task);
        return rows;
    }

    void add(const ResultRow& row)
    {
        CellRows& rows = cellOf(row);
        rows.granularities.insert(row.method.granularity);
        rows.fidelities.insert(row.method.fidelity);
        const std::string sample = sampleKey(row);
        const std::string branch = joined(methodKey(row.method), row.budget.kind, row.budget.text);
        rows.numbers[{sample, branch}] = rowsSeen++;
        if (!row.outcome) {
            rows.skipped.insert(sample);
            return;
        }
        if (!rows.samples[sample].insert_or_assign(branch, measuredOf(row, *row.outcome)).second)
            ++repeatedRows;
    }
};

SummaryBuilder::SummaryBuilder(std::set<SummaryField> by)
    : m_state(std::make_unique<State>())
{
    m_state->by = std::move(by);
}

SummaryBuilder::~SummaryBuilder() = default;

void SummaryBuilder::add(const ResultRun& run)
{
    for (const ResultRow& row : run.rows)
        m_state->add(row);
}

Summary SummaryBuilder::build() const
{
    std::map<std::string, SampleMeans> full; // by what a cell shares with its full-cache runs
    for (const auto& [key, rows] : m_state->cells)
        if (rows.cell.full)
            for (auto& [sample, measured] : sampleMeans(rows))
                full[rows.base].insert_or_assign(sample, measured);

    std::vector<const CellRows*> ordered;
    for (const auto& [key, rows] : m_state->cells)
        ordered.push_back(&rows);
    const auto share = [](const CellRows& rows) {
        return rows.samples.empty() ? 0.0 : rows.samples.begin()->second.begin()->second.requestedShare;
    };
    std::ranges::stable_sort(ordered, {}, [&](const CellRows* rows) {
        const SummaryCell& cell = rows->cell;
        return std::tuple(rows->order[0], cell.task ? rows->taskOrder : 0, cell.shots, cell.level, cell.maxNewTokens,
            cell.seed, !cell.full, cell.method ? rows->order[1] : 0, -share(*rows));
    });

    Summary summary;
    summary.repeatedRows = m_state->repeatedRows;
    for (const CellRows* rows : ordered) {
        SummaryCell cell = rows->cell;
        for (const auto& [row, number] : rows->numbers)
            cell.rows.push_back(number);
        std::ranges::sort(cell.rows);
        cell.skipped = static_cast<std::int64_t>(rows->skipped.size());
        cell.granularity = joinedNames(rows->granularities);
        cell.fidelity = joinedNames(rows->fidelities);
        const SampleMeans samples = sampleMeans(*rows);
        describe(cell, samples);
        if (const auto base = full.find(rows->base); !cell.full && base != full.end())
            compare(cell, samples, base->second);
        summary.cells.push_back(std::move(cell));
    }
    correct(summary.cells, ordered);
    labelModels(summary.cells);
    return summary;
}

} // namespace kvloupe
