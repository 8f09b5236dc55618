// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/expected_attention.h"

#include "core/methods/chooser.h"
#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"
#include "core/methods/quadratic_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace kvloupe {

ExpectedAttentionScorer::ExpectedAttentionScorer(Parameters parameters)
    : m_parameters(parameters)
{
}

EvidenceNeeds ExpectedAttentionScorer::needs(const PromptLayout&) const
{
    EvidenceNeeds needs;
    needs.queryStatistics = true;
    needs.rope = true;
    needs.keys = true;
    needs.valueNorms = m_parameters.valueNorms;
    return needs;
}

namespace {

/// Mean of the rotation matrices at positions begin .. begin + count - 1, times the amplitude of the rotation: channels
/// i and i + size/2 turn together.
struct MeanRotation {
    std::vector<double> cosines;
    std::vector<double> sines;

    MeanRotation(const LayerEvidence& evidence, std::int64_t begin, std::int64_t count)
        : cosines(evidence.inverseFrequencies.size())
        , sines(evidence.inverseFrequencies.size())
    {
        for (std::size_t channel = 0; channel < cosines.size(); ++channel) {
            for (std::int64_t position = begin; position < begin + count; ++position) {
                const double angle = static_cast<double>(position) * evidence.inverseFrequencies[channel];
                cosines[channel] += std::cos(angle);
                sines[channel] += std::sin(angle);
            }
            cosines[channel] *= evidence.ropeAmplitude / static_cast<double>(count);
            sines[channel] *= evidence.ropeAmplitude / static_cast<double>(count);
        }
    }

    /// Turns the vector of elements vector[0], vector[stride], ... in place.
    void turn(std::span<double> vector, std::size_t stride) const
    {
        const std::size_t half = cosines.size();
        for (std::size_t i = 0; i < half; ++i) {
            double& low = vector[i * stride];
            double& high = vector[(i + half) * stride];
            const double turnedLow = cosines[i] * low - sines[i] * high;
            high = cosines[i] * high + sines[i] * low;
            low = turnedLow;
        }
    }
};

void softmax(std::span<double> logits)
{
    if (logits.empty())
        return;
    const double largest = *std::ranges::max_element(logits);
    double sum = 0.0;
    for (double& value : logits) {
        value = std::exp(value - largest);
        sum += value;
    }
    for (double& value : logits)
        value /= sum;
}

} // namespace

Scores ExpectedAttentionScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    if (evidence.headDim % 2 != 0)
        throw MethodError(fmt::format("layer {}: head_dim is {}, expected an even number, as RoPE turns pairs",
            evidence.layer, evidence.headDim));
    const auto size = static_cast<std::size_t>(evidence.headDim);
    const std::int64_t sinks = std::min(m_parameters.sinks, evidence.tokens);
    const std::int64_t behind = evidence.tokens - sinks;
    const MeanRotation rotation(evidence, evidence.firstPosition + evidence.tokens, m_parameters.futurePositions);

    HeadScores attention(evidence.queryHeads, behind);
    for (int head = 0; head < evidence.queryHeads; ++head) {
        const auto statistics = static_cast<std::size_t>(head) * size;
        const auto recordedMean = evidence.queryMeans.subspan(statistics, size);
        std::vector<double> mean(recordedMean.begin(), recordedMean.end());
        rotation.turn(mean, 1);
        for (double& value : mean)
            value /= std::sqrt(static_cast<double>(size));

        std::vector<double> covariance;
        if (m_parameters.covariance) {
            const auto recorded = evidence.queryCovariances.subspan(statistics * size, size * size);
            covariance.assign(recorded.begin(), recorded.end());
            for (std::size_t row = 0; row < size; ++row)
                rotation.turn(std::span(covariance).subspan(row * size, size), 1);
            for (std::size_t column = 0; column < size; ++column)
                rotation.turn(std::span(covariance).subspan(column), size);
            for (double& value : covariance)
                value /= 2.0 * static_cast<double>(size);
        }
        const auto keys = evidence.keysOf(head / evidence.groupSize()).subspan(static_cast<std::size_t>(sinks) * size);
        addQuadraticForm(keys, mean, covariance, attention.set(head));
        softmax(attention.set(head));
    }

    const ReducedScores reduced
        = reduceGroups(std::move(attention), Granularity::KvHead, GroupReduction::Mean, evidence.kvHeads);
    Scores scores = emptyScores(Granularity::KvHead, evidence);
    scores.values.assign(static_cast<std::size_t>(scores.sets * scores.tokens), std::numeric_limits<float>::infinity());
    for (int set = 0; set < scores.sets; ++set) {
        const auto expected = reduced.scores.set(set);
        for (std::size_t index = 0; index < expected.size(); ++index) {
            const std::size_t token = static_cast<std::size_t>(sinks) + index;
            double score = expected[index] * reduced.scale;
            if (m_parameters.valueNorms)
                score = (score + m_parameters.epsilon)
                    * static_cast<double>(evidence.valueNorms[static_cast<std::size_t>(set * evidence.tokens) + token]);
            scores.set(set)[token] = static_cast<float>(score);
        }
    }
    return scores;
}

MethodInfo expectedAttentionMethod()
{
    MethodInfo info;
    info.name = "expected_attention";
    info.title = "Expected Attention";
    info.summary = "Keeps the keys that future queries are expected to look at, weighted by the size of their values.";
    info.source = "Devoto et al. 2025, arXiv 2510.00636, section 3";
    info.parameters = {
        {"n_future", ParameterInfo::Type::Integer, "512", "future positions whose rotations are averaged", 1, 1e6, {}},
        {"n_sink", ParameterInfo::Type::Integer, "4", "first tokens that are always kept and not ranked", 0, 1e9, {}},
        {"covariance", ParameterInfo::Type::Boolean, "true", "the spread of the queries counts, beside their mean", 0,
            0, {}},
        {"vnorm", ParameterInfo::Type::Boolean, "true", "scores are multiplied by the norms of the values", 0, 0, {}},
        {"epsilon", ParameterInfo::Type::Real, "0", "added to the expected attention before that", 0, 1e9, {}},
        budgetRoundingParameter(),
    };
    info.presets = {
        {"kvpress", {{"budget_rounding", "trunc_double"}}, "ExpectedAttentionPress of kvpress"},
    };
    info.make = [](const ParameterValues& values) {
        ExpectedAttentionScorer::Parameters parameters;
        parameters.futurePositions = integerValue(values, "n_future");
        parameters.sinks = integerValue(values, "n_sink");
        parameters.covariance = booleanValue(values, "covariance");
        parameters.valueNorms = booleanValue(values, "vnorm");
        parameters.epsilon = realValue(values, "epsilon");
        Method method;
        method.granularity = Granularity::KvHead;
        method.scorer = std::make_shared<ExpectedAttentionScorer>(parameters);
        method.chooser = std::make_shared<TopScores>(TopScores::Parameters{0, 0, budgetRule(values)});
        return method;
    };
    return info;
}

} // namespace kvloupe
