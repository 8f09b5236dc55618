// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/cumulative_attention.h"
#include "core/metrics/layer_measures.h"
#include "core/metrics/recorded_sparsity.h"
#include "core/metrics/region_mass.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace kvloupe {

namespace {

constexpr std::array<double, 13> curveShares{0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0};
constexpr std::array<double, 4> heldShares{0.5, 0.8, 0.9, 0.95};

void append(std::vector<MeasureCell>& cells, const RowSparsity& row)
{
    for (const double value : {row.entropy, row.effectiveKeys, row.gini, row.topMass[0], row.topMass[1], row.topMass[2],
             row.sinkMass, row.maximum})
        cells.emplace_back(value);
}

void writeSparsity(const AnalysedSample& sample, int layer)
{
    if (!sample.wants(Metric::Sparsity) && !sample.wants(Metric::SparsityRows))
        return;
    const auto series = recordedSparsity(sample.recording, sample.sample, layer, sample.heads, sample.options.cache);
    const std::int64_t prompt = sample.promptTokens();
    const std::int64_t total = sample.layout.totalTokens();
    for (std::size_t index = 0; index < sample.heads.size(); ++index) {
        const int head = sample.heads[index];
        if (sample.wants(Metric::Sparsity)) {
            const auto write = [&](std::string_view queries, std::int64_t begin, std::int64_t end) {
                std::vector<MeasureCell> cells{std::int64_t{layer}, std::int64_t{head}, std::string(queries)};
                append(cells, series[index].mean(begin, end));
                sample.write(Metric::Sparsity, std::move(cells));
            };
            write("prompt", 0, prompt);
            if (total > prompt)
                write("generated", prompt, total);
        }
        for (std::int64_t query = 0; sample.wants(Metric::SparsityRows) && query < total; ++query) {
            std::vector<MeasureCell> cells{std::int64_t{layer}, std::int64_t{head}, query};
            append(cells, series[index].at(query));
            sample.write(Metric::SparsityRows, std::move(cells));
        }
    }
}

/// One row per region that has tokens among those that can be seen.
void writeSpanMass(const AnalysedSample& sample, int layer, int head, std::string_view queries,
    std::span<const double> mass, TokenRange seen)
{
    const auto counts = sample.regions.countWithin(seen.begin, seen.end);
    for (std::size_t region = 0; region < counts.size(); ++region) {
        if (counts[region] == 0)
            continue;
        const TokenRegion& named = sample.regions.regions()[region];
        sample.write(Metric::SpanMass,
            {std::int64_t{layer}, std::int64_t{head}, std::string(queries), named.name,
                named.shot < 0 ? MeasureCell() : MeasureCell(std::int64_t{named.shot}), mass[region],
                static_cast<double>(counts[region]) / static_cast<double>(seen.size()), counts[region]});
    }
}

/// Attention that every prompt token received from all prompt queries, [queryHeads, T]: all of the prompt, also where a
/// sliding window has left it.
std::vector<float> recordedColumnSums(const AnalysedSample& sample, int layer)
{
    const Recording& recording = sample.recording;
    const std::int64_t values = recording.model().numHeads * sample.layout.totalTokens();
    std::vector<float> sums;
    if (recording.has(sample.sample, layer, TokenArray::ColumnSum))
        sums = recording.read(sample.sample, layer, TokenArray::ColumnSum);
    if (std::ssize(sums) != values)
        throw RecordingError(fmt::format("{}: sample {}, layer {}: {} is needed, found {} values, expected {}; record "
                                         "with --record stats or more",
            recording.path().string(), sample.sample, layer, tokenArrayName(TokenArray::ColumnSum), sums.size(),
            values));
    return sums;
}

void writeSpanMasses(const AnalysedSample& sample, int layer, int head, const LayerEvidence& evidence,
    std::span<const float> columnSums, const GeneratedAttention* generated)
{
    const TokenRange cache = sample.cacheOf(layer);
    std::vector<double> last(sample.regions.regions().size(), 0.0);
    for (std::int64_t row = 0; row < evidence.lastRowCount; ++row) {
        const auto mass = massByRegion(evidence.lastRow(head, row), evidence.firstPosition, sample.regions);
        for (std::size_t region = 0; region < last.size(); ++region)
            last[region] += mass[region] / static_cast<double>(evidence.lastRowCount);
    }
    writeSpanMass(sample, layer, head, "last", last, cache);
    writeSpanMass(
        sample, layer, head, "prompt", massByRegion(columnSums, 0, sample.regions), {0, sample.promptTokens()});
    if (generated == nullptr)
        return;
    const auto tokens = static_cast<std::size_t>(sample.layout.totalTokens());
    const auto received = std::span(generated->received).subspan(static_cast<std::size_t>(head) * tokens, tokens);
    writeSpanMass(sample, layer, head, "generated", massByRegion(received, 0, sample.regions),
        {cache.begin, sample.layout.totalTokens()});
}

void writeCurves(const AnalysedSample& sample, int layer, int head, std::span<const float> received)
{
    for (const std::int64_t excluded : {std::int64_t{0}, sinkTokens}) {
        const CumulativeAttention curve(received, excluded);
        for (const double share : curveShares)
            if (sample.wants(Metric::Cumulative))
                sample.write(Metric::Cumulative,
                    {std::int64_t{layer}, std::int64_t{head}, excluded, share, curve.massOfTop(share)});
        if (!sample.wants(Metric::Concentration))
            continue;
        std::vector<MeasureCell> cells{std::int64_t{layer}, std::int64_t{head}, excluded, curve.area()};
        for (const double held : heldShares)
            cells.emplace_back(curve.tokensHolding(held));
        sample.write(Metric::Concentration, std::move(cells));
    }
}

} // namespace

void writeAttentionMeasures(
    const AnalysedSample& sample, int layer, const LayerEvidence& evidence, const GeneratedAttention* generated)
{
    writeSparsity(sample, layer);
    const bool curves = sample.wants(Metric::Cumulative) || sample.wants(Metric::Concentration);
    if (!curves && !sample.wants(Metric::SpanMass))
        return;
    const std::vector<float> sums = recordedColumnSums(sample, layer);
    for (const int head : sample.heads) {
        const auto columns = std::span(sums).subspan(static_cast<std::size_t>(head * sample.layout.totalTokens()),
            static_cast<std::size_t>(sample.promptTokens()));
        if (sample.wants(Metric::SpanMass))
            writeSpanMasses(sample, layer, head, evidence, columns, generated);
        if (curves)
            writeCurves(sample, layer, head, columns);
    }
}

} // namespace kvloupe
