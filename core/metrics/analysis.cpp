// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/analysis.h"

#include "core/metrics/layer_measures.h"
#include "core/metrics/oracle.h"
#include "core/metrics/retained_mass.h"
#include "core/replay/recorded_decode_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <numeric>
#include <tuple>
#include <utility>

namespace kvloupe {

namespace {

void sortUnique(std::vector<int>& numbers)
{
    std::ranges::sort(numbers);
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
}

/// Whether the generated rows of a layer can be made.
bool hasGeneratedRows(const AnalysedSample& sample, int layer)
{
    return sample.generatedTokens() > 0 && sample.recording.layer(sample.sample, layer).hasQueriesKeys;
}

bool wantsGeneratedRows(const AnalysedSample& sample)
{
    return sample.wants(Metric::SpanMass) || sample.wants(Metric::RetainedMass) || sample.wants(Metric::OracleOverlap);
}

EvidenceNeeds evidenceNeeds(const AnalysedSample& sample)
{
    EvidenceNeeds needs;
    if (sample.wants(Metric::SpanMass) || sample.wants(Metric::RetainedMass)
        || sample.wants(Metric::RepresentationError))
        needs.lastRows = sample.options.lastRows;
    needs.values = sample.wants(Metric::RepresentationError);
    return needs;
}

} // namespace

bool AnalysedSample::wants(Metric metric) const
{
    return std::ranges::find(options.metrics, metric) != options.metrics.end();
}

TokenRange AnalysedSample::cacheOf(int layer) const
{
    const std::int64_t window = recording.layer(sample, layer).window;
    return {window > 0 ? std::max<std::int64_t>(0, promptTokens() - window) : 0, promptTokens()};
}

std::vector<int> AnalysedSample::setsOf(const KeepSet& keep) const
{
    const int headsPerSet = recording.model().numHeads / static_cast<int>(keep.sets.size());
    std::vector<int> sets;
    for (const int head : heads)
        sets.push_back(head / headsPerSet);
    sortUnique(sets);
    return sets;
}

void AnalysedSample::write(Metric metric, std::vector<MeasureCell> cells, const AnalysisCase* of) const
{
    MeasureRow row;
    row.metric = &metricInfo(metric);
    row.cells = {recording.path().string(), std::int64_t{sample}, recording.sample(sample).id};
    if (of != nullptr) {
        row.cells.emplace_back(of->scored->method().spec);
        row.cells.emplace_back(fmt::format("{}={}", budgetKindName(of->budget->kind()), of->budget->text()));
        row.cells.emplace_back(of->budget->fractionKept(promptTokens()));
    }
    std::ranges::move(cells, std::back_inserter(row.cells));
    sink(row);
}

GeneratedAttention generatedAttention(const AnalysedSample& sample, int layer)
{
    const int queryHeads = sample.recording.model().numHeads;
    const std::int64_t steps = sample.generatedTokens();
    const auto tokens = static_cast<std::size_t>(sample.layout.totalTokens());
    RecordedDecodeRows rows(sample.recording, sample.sample, layer, steps);
    GeneratedAttention result;
    if (sample.wants(Metric::RetainedMass))
        result.retained.assign(sample.cases.size(),
            std::vector<std::vector<double>>(
                sample.heads.size(), std::vector<double>(static_cast<std::size_t>(steps))));

    // Without a policy all generated tokens stay, so one timeline per set says it for every step.
    std::vector<std::vector<HeadTimeline>> timelines;
    for (const AnalysisCase& one : sample.cases) {
        if (result.retained.empty())
            break;
        if (one.timeline) {
            timelines.push_back(one.timeline->layers.at(layer));
            continue;
        }
        auto& sets = timelines.emplace_back();
        for (const auto& kept : one.result.kept.at(layer).sets) {
            auto& evictedAt = sets.emplace_back().evictedAt;
            evictedAt.assign(tokens, -1);
            std::fill_n(evictedAt.begin(), sample.promptTokens(), 0);
            for (const std::int32_t position : kept)
                evictedAt[static_cast<std::size_t>(position)] = -1;
        }
    }

    const auto retain = [&](int head, std::int64_t step, std::span<const float> row) {
        const auto index = std::ranges::lower_bound(sample.heads, head);
        if (index == sample.heads.end() || *index != head)
            return;
        for (std::size_t one = 0; one < timelines.size(); ++one) {
            const auto& sets = timelines[one];
            const auto set = static_cast<std::size_t>(head / (queryHeads / static_cast<int>(sets.size())));
            result.retained[one][static_cast<std::size_t>(index - sample.heads.begin())][static_cast<std::size_t>(step)]
                = retainedMassWhileDecoding(row, sets[set], step);
        }
    };
    result.received = attentionFromGenerated(rows, steps, sample.layout.totalTokens(),
        result.retained.empty() ? GeneratedRowVisitor() : GeneratedRowVisitor(retain));
    return result;
}

Analysis::Analysis(const Recording& recording, AnalysisOptions options)
    : m_recording(&recording)
    , m_options(std::move(options))
{
    for (const Metric metric : m_options.metrics)
        if (metricInfo(metric).needsMethods && (m_options.methods.empty() || m_options.budgets.empty()))
            throw Error(fmt::format(
                "metric {}: found no method and budget, expected at least one of each", metricInfo(metric).name));
    sortUnique(m_options.layers);
    sortUnique(m_options.heads);
    for (const auto& [what, numbers, count] : {std::tuple{"head", &m_options.heads, recording.model().numHeads},
             std::tuple{"layer", &m_options.layers, recording.model().numLayers}})
        for (const int number : *numbers)
            if (number < 0 || number >= count)
                throw Error(fmt::format(
                    "{}: found {} {}, expected one from 0 to {}", recording.path().string(), what, number, count - 1));
    m_options.lastRows = std::max<std::int64_t>(1, m_options.lastRows);
}

bool Analysis::run(int sample, const PromptLayout& layout, const std::function<void(const MeasureRow&)>& sink,
    const std::function<bool(double)>& progress) const
{
    AnalysedSample analysed{*m_recording, m_options, sample, layout, TokenRegions(layout), m_options.heads, {}, sink};
    if (analysed.heads.empty()) {
        analysed.heads.resize(static_cast<std::size_t>(m_recording->model().numHeads));
        std::iota(analysed.heads.begin(), analysed.heads.end(), 0);
    }
    std::vector<int> layers = m_recording->layers(sample);
    for (const int layer : m_options.layers)
        if (!std::ranges::binary_search(layers, layer))
            throw Error(fmt::format("{}: sample {}: layer {} was not recorded, found {}", m_recording->path().string(),
                sample, layer, fmt::join(layers, ", ")));
    if (!m_options.layers.empty())
        layers = m_options.layers;
    if (analysed.wants(Metric::OracleOverlap) && analysed.generatedTokens() == 0)
        throw Error(fmt::format("{}: sample {}: metric {} needs generated tokens, found none; record with --generate N "
                                "--record qk",
            m_recording->path().string(), sample, metricInfo(Metric::OracleOverlap).name));

    const Replay replay(*m_recording);
    std::vector<ScoredSample> scored;
    if (std::ranges::any_of(m_options.metrics, [](Metric metric) { return metricInfo(metric).needsMethods; }))
        scored = replay.score(sample, layout, m_options.methods);
    const bool decodes = analysed.wants(Metric::RetainedMass)
        && std::ranges::any_of(layers, [&](int layer) { return hasGeneratedRows(analysed, layer); });
    for (const ScoredSample& one : scored)
        for (const Budget& budget : m_options.budgets) {
            AnalysisCase& added = analysed.cases.emplace_back(AnalysisCase{&one, &budget, one.choose(budget), {}});
            if (decodes && one.method().decodePolicy)
                added.timeline = replay.timeline(
                    sample, one, budget, std::nullopt, m_options.decodeBudget ? &*m_options.decodeBudget : nullptr);
        }

    const EvidenceBuilder builder(*m_recording);
    const EvidenceNeeds needs = evidenceNeeds(analysed);
    for (std::size_t index = 0; index < layers.size(); ++index) {
        const int layer = layers[index];
        const OwnedEvidence evidence = builder.build(sample, layer, needs);
        std::optional<GeneratedAttention> generated;
        if (wantsGeneratedRows(analysed)
            && (hasGeneratedRows(analysed, layer) || analysed.wants(Metric::OracleOverlap)))
            generated = generatedAttention(analysed, layer);
        const GeneratedAttention* later = generated ? &*generated : nullptr;
        writeAttentionMeasures(analysed, layer, evidence.view, later);
        writeLossMeasures(analysed, layer, evidence.view, later);
        writeKeptMeasures(analysed, layer, later);
        if (!progress(static_cast<double>(index + 1) / static_cast<double>(layers.size())) && index + 1 < layers.size())
            return false;
    }
    writeModelMeasures(analysed);
    return true;
}

} // namespace kvloupe
