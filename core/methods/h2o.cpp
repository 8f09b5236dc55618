// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/h2o.h"

#include "core/attention/attention_rows.h"
#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>

namespace kvloupe {

ColumnSumScorer::ColumnSumScorer(Granularity granularity, GroupReduction reduction, bool perQuery)
    : m_granularity(granularity)
    , m_reduction(reduction)
    , m_perQuery(perQuery)
{
}

EvidenceNeeds ColumnSumScorer::needs(const PromptLayout&) const
{
    EvidenceNeeds needs;
    needs.columnSums = true;
    return needs;
}

Scores ColumnSumScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    HeadScores sums(evidence.queryHeads, evidence.tokens);
    std::ranges::copy(evidence.columnSums, sums.values.begin());
    ReducedScores reduced = reduceGroups(std::move(sums), m_granularity, m_reduction, evidence.kvHeads);
    for (int set = 0; m_perQuery && set < reduced.scores.sets; ++set) {
        auto queries = static_cast<double>(evidence.tokens);
        for (double& score : reduced.scores.set(set))
            score /= queries--;
    }
    return finishedScores(reduced.scores, reduced.scale, m_granularity, evidence);
}

NonCausalColumnSumScorer::NonCausalColumnSumScorer(
    std::int64_t window, Granularity granularity, GroupReduction reduction)
    : m_window(window)
    , m_granularity(granularity)
    , m_reduction(reduction)
{
}

EvidenceNeeds NonCausalColumnSumScorer::needs(const PromptLayout&) const
{
    EvidenceNeeds needs;
    needs.lastQueries = EvidenceNeeds::allQueries;
    needs.keys = true;
    return needs;
}

namespace {

/// Adds up rows of attention, some queries at a time.
class ColumnSummer {
public:
    ColumnSummer(const PackedKeys& keys, float scale, std::span<double> sums)
        : m_keys(keys)
        , m_shape{scale, 0}
        , m_stride((keys.size() + PackedKeys::panelKeys - 1) / PackedKeys::panelKeys * PackedKeys::panelKeys)
        , m_block(static_cast<std::size_t>(blockRows * m_stride))
        , m_sums(sums)
    {
    }

    /// `queries`: [rows, headDim] of the positions from `begin` on.
    void add(std::span<const float> queries, std::int64_t begin, bool causal)
    {
        const auto dim = static_cast<std::size_t>(m_keys.headDim());
        const auto rows = static_cast<std::int64_t>(queries.size() / dim);
        std::array<RowStatistics, blockRows> statistics;
        for (std::int64_t first = 0; first < rows; first += blockRows) {
            const std::int64_t count = std::min(blockRows, rows - first);
            const auto block
                = queries.subspan(static_cast<std::size_t>(first) * dim, static_cast<std::size_t>(count) * dim);
            if (causal)
                attention_rows::softmaxRows(
                    block, m_keys, begin + first, count, m_shape, m_block.span(), m_stride, statistics);
            else
                attention_rows::unmaskedRows(block, m_keys, count, m_shape.scale, m_block.span(), m_stride);
            for (std::int64_t row = 0; row < count; ++row) {
                const float* attention = m_block.data() + row * m_stride;
                const std::int64_t seen = causal ? begin + first + row + 1 : m_keys.size();
                for (std::int64_t key = 0; key < seen; ++key)
                    m_sums[static_cast<std::size_t>(key)] += static_cast<double>(attention[key]);
            }
        }
    }

private:
    static constexpr std::int64_t blockRows = 64;

    const PackedKeys& m_keys;
    AttentionShape m_shape;
    std::int64_t m_stride;
    AlignedFloats m_block;
    std::span<double> m_sums;
};

} // namespace

Scores NonCausalColumnSumScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    HeadScores sums(evidence.queryHeads, evidence.tokens);
    const std::int64_t masked = std::min(m_window, evidence.tokens);
    const auto perQuery = static_cast<std::size_t>(evidence.headDim);
    const auto unmasked = static_cast<std::size_t>(evidence.tokens - masked) * perQuery;
    tbb::parallel_for(0, evidence.tokens > 0 ? evidence.kvHeads : 0, [&](int kvHead) {
        const PackedKeys keys(evidence.keysOf(kvHead), evidence.headDim);
        for (int head = kvHead * evidence.groupSize(); head < (kvHead + 1) * evidence.groupSize(); ++head) {
            const auto perHead = static_cast<std::size_t>(evidence.tokens) * perQuery;
            const auto queries = evidence.lastQueries.subspan(static_cast<std::size_t>(head) * perHead, perHead);
            ColumnSummer summer(keys, static_cast<float>(evidence.softmaxScale), sums.set(head));
            summer.add(queries.first(unmasked), 0, false);
            summer.add(queries.subspan(unmasked), evidence.tokens - masked, true);
        }
    });
    const ReducedScores reduced = reduceGroups(std::move(sums), m_granularity, m_reduction, evidence.kvHeads);
    return finishedScores(reduced.scores, reduced.scale, m_granularity, evidence);
}

HeavyHitterPolicy::HeavyHitterPolicy(Parameters parameters)
    : m_parameters(parameters)
{
}

std::unique_ptr<DecodePolicy> HeavyHitterPolicy::clone() const
{
    return std::make_unique<HeavyHitterPolicy>(*this);
}

DecodeNeeds HeavyHitterPolicy::needs() const
{
    DecodeNeeds needs;
    needs.attention = true;
    return needs;
}

std::vector<std::int32_t> HeavyHitterPolicy::begin(const DecodeStart& start)
{
    const auto& [granularity, reduction, recent, divisor, hides] = m_parameters;
    m_capacity = start.capacity;
    m_recent = std::min(divisor > 0 ? m_capacity / divisor : recent, m_capacity);
    m_sums.assign(start.alive.size(), 0.0);
    for (std::size_t index = 0; index < start.alive.size() && !start.scores.empty(); ++index)
        m_sums[index] = static_cast<double>(start.scores[static_cast<std::size_t>(start.alive[index])]);

    const bool wasCut = start.promptTokens > m_capacity && std::ssize(start.alive) == m_capacity;
    if (!hides || !wasCut || m_recent == 0)
        return {};
    return {start.alive[start.alive.size() - static_cast<std::size_t>(m_recent)]};
}

DecodeVerdict HeavyHitterPolicy::step(const DecodeStep& step)
{
    m_sums.resize(step.alive.size(), 0.0);
    std::ranges::transform(m_sums, step.attention, m_sums.begin(),
        [](double sum, float attention) { return sum + static_cast<double>(attention); });
    if (std::ssize(step.alive) <= m_capacity)
        return {};

    std::vector<float> scores(m_sums.size());
    std::ranges::transform(m_sums, scores.begin(), [](double sum) { return static_cast<float>(sum); });
    DecodeVerdict verdict = cutToBest(step.alive, scores, m_capacity, m_recent);
    if (m_parameters.hides && m_recent > 0)
        verdict.hidden = {step.alive[step.alive.size() - static_cast<std::size_t>(m_recent)]};

    std::size_t left = 0;
    auto gone = verdict.evicted.begin();
    for (std::size_t index = 0; index < m_sums.size(); ++index) {
        if (gone != verdict.evicted.end() && *gone == step.alive[index])
            ++gone;
        else
            m_sums[left++] = m_sums[index];
    }
    m_sums.resize(left);
    return verdict;
}

MethodInfo h2oMethod()
{
    MethodInfo info;
    info.name = "h2o";
    info.title = "H2O";
    info.summary = "Keeps the heavy hitters, tokens that received most attention so far, and the most recent tokens.";
    info.source = "Zhang et al. 2023, arXiv 2306.14048, section 4";
    info.parameters = {
        {"variant", ParameterInfo::Type::Choice, "prefill",
            "prefill: one cut after the prompt; drop: cuts on with every generated token; mask: as drop, and one "
            "recent "
            "token is hidden for a step; kvcf: KVCache-Factory's fixed window; kvcf_legacy: the same with its former "
            "sums, "
            "in which early queries see the future",
            0, 0, {"prefill", "drop", "mask", "kvcf", "kvcf_legacy"}},
        {"recent", ParameterInfo::Type::Integer, "auto",
            "recent tokens kept; half = half of the budget, rounded down; auto = half, or 8 with variant=kvcf and "
            "kvcf_legacy",
            0, 1e9, {"auto", "half"}},
        granularityParameter("kv_head"),
        reductionParameter(),
        budgetRoundingParameter(),
    };
    info.presets = {
        {"kvcf", {{"variant", "kvcf"}, {"recent", "8"}, {"budget_rounding", "round_half_even"}},
            "KVCache-Factory since June 2026: sums over all causal queries, 8 recent tokens"},
        {"kvcf-legacy", {{"variant", "kvcf_legacy"}, {"recent", "8"}, {"budget_rounding", "round_half_even"}},
            "KVCache-Factory before June 2026, and SCOPE: sums that are not causal"},
        {"paper", {{"variant", "mask"}, {"granularity", "q_head"}},
            "the code behind the paper's tables: eviction simulated by a mask, per query head"},
    };
    info.make = [](const ParameterValues& values) {
        const std::string& variant = values.at("variant");
        const Granularity granularity = granularityValue(values, "granularity");
        const GroupReduction reduction = reductionValue(values, "gqa_reduce");
        std::string recent = values.at("recent");
        if (recent == "auto")
            recent = variant.starts_with("kvcf") ? "8" : "half";
        if (recent == "half" && variant == "kvcf_legacy")
            throw MethodError("h2o: recent is half, expected a number of tokens with variant=kvcf_legacy, whose sums "
                              "depend on it");

        TopScores::Parameters choice;
        choice.rounding = budgetRule(values);
        if (recent == "half")
            choice.recentDivisor = 2;
        else
            choice.recent = integerValue({{"recent", recent}}, "recent");

        Method method;
        method.parameters["recent"] = recent;
        method.granularity = granularity;
        if (variant == "kvcf_legacy")
            method.scorer = std::make_shared<NonCausalColumnSumScorer>(choice.recent, granularity, reduction);
        else
            method.scorer = std::make_shared<ColumnSumScorer>(granularity, reduction);
        method.chooser = std::make_shared<TopScores>(choice);
        if (variant == "drop" || variant == "mask")
            method.decodePolicy = std::make_shared<HeavyHitterPolicy>(HeavyHitterPolicy::Parameters{
                granularity, reduction, choice.recent, choice.recentDivisor, variant == "mask"});
        return method;
    };
    return info;
}

} // namespace kvloupe
