// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/distribution.h"
#include "core/metrics/layer_measures.h"
#include "core/metrics/representation_error.h"
#include "core/metrics/retained_mass.h"

#include <tbb/parallel_for.h>

namespace kvloupe {

namespace {

std::span<const std::int32_t> keptOf(const AnalysisCase& one, int layer, int head, int queryHeads)
{
    const KeepSet& keep = one.result.kept.at(layer);
    return keep.sets[static_cast<std::size_t>(head / (queryHeads / static_cast<int>(keep.sets.size())))];
}

/// [case][row] of one query head.
using Losses = std::vector<std::vector<double>>;

Losses retainedOfLastRows(const AnalysedSample& sample, const LayerEvidence& evidence, int head)
{
    Losses result;
    for (const AnalysisCase& one : sample.cases) {
        auto& rows = result.emplace_back();
        for (std::int64_t row = 0; row < evidence.lastRowCount; ++row)
            rows.push_back(retainedMass(evidence.lastRow(head, row), evidence.firstPosition,
                keptOf(one, evidence.layer, head, evidence.queryHeads)));
    }
    return result;
}

Losses errorsOfLastRows(const AnalysedSample& sample, const LayerEvidence& evidence, int head)
{
    const auto perKvHead = static_cast<std::size_t>(evidence.tokens * evidence.headDim);
    const auto values
        = evidence.values.subspan(static_cast<std::size_t>(head / evidence.groupSize()) * perKvHead, perKvHead);
    Losses result(sample.cases.size());
    std::vector<std::int32_t> indices;
    for (std::int64_t row = 0; row < evidence.lastRowCount; ++row) {
        const auto attention = evidence.lastRow(head, row);
        const auto full = attentionOutput(attention, values, evidence.headDim);
        for (std::size_t index = 0; index < sample.cases.size(); ++index) {
            indices.clear();
            for (const std::int32_t position : keptOf(sample.cases[index], evidence.layer, head, evidence.queryHeads))
                if (position >= evidence.firstPosition)
                    indices.push_back(position - static_cast<std::int32_t>(evidence.firstPosition));
            result[index].push_back(representationError(attention, values, evidence.headDim, indices, full));
        }
    }
    return result;
}

} // namespace

void writeLossMeasures(
    const AnalysedSample& sample, int layer, const LayerEvidence& evidence, const GeneratedAttention* generated)
{
    const bool wantsMass = sample.wants(Metric::RetainedMass);
    const bool wantsError = sample.wants(Metric::RepresentationError);
    if (!wantsMass && !wantsError)
        return;
    std::vector<Losses> masses(sample.heads.size());
    std::vector<Losses> errors(sample.heads.size());
    tbb::parallel_for(std::size_t{0}, sample.heads.size(), [&](std::size_t index) {
        if (wantsMass)
            masses[index] = retainedOfLastRows(sample, evidence, sample.heads[index]);
        if (wantsError)
            errors[index] = errorsOfLastRows(sample, evidence, sample.heads[index]);
    });
    for (std::size_t number = 0; number < sample.cases.size(); ++number)
        for (std::size_t index = 0; index < sample.heads.size(); ++index) {
            const AnalysisCase& one = sample.cases[number];
            const std::int64_t head = sample.heads[index];
            const auto writeMass = [&](const char* queries, const std::vector<double>& values) {
                const Distribution mass = distributionOf(values);
                sample.write(Metric::RetainedMass,
                    {std::int64_t{layer}, head, std::string(queries), mass.mean, mass.percentile5, mass.median,
                        mass.count},
                    &one);
            };
            if (wantsMass) {
                writeMass("last", masses[index][number]);
                if (generated != nullptr)
                    writeMass("generated", generated->retained[number][index]);
            }
            if (wantsError) {
                const Distribution error = distributionOf(errors[index][number]);
                sample.write(Metric::RepresentationError, {std::int64_t{layer}, head, error.mean, error.count}, &one);
            }
        }
}

} // namespace kvloupe
