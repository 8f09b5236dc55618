// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/layer_pruning.h"

#include "core/attention/attention_rows.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace kvloupe {

namespace {

constexpr std::size_t rememberedBudgets = 64;

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// One budget on its way through the layers.
struct Branch {
    Budget budget;
    std::vector<std::int32_t> entering;
    std::vector<float> votes; ///< [entering], of the layer before
    std::vector<std::int32_t> voters; ///< `entering` of the layer before
    std::vector<PrunedLayer> layers;
};

/// Votes in one layer.
class LayerVotes {
public:
    LayerVotes(const Recording& recording, int sample, int layer, std::int64_t rows)
        : m_model(recording.model())
        , m_rows(rows)
        , m_prompt(recording.sample(sample).promptTokens)
        , m_stride((m_prompt + PackedKeys::panelKeys - 1) / PackedKeys::panelKeys * PackedKeys::panelKeys)
        , m_shape{static_cast<float>(recording.sample(sample).softmaxScale), recording.layer(sample, layer).window}
    {
        const std::int64_t dim = m_model.headDim;
        std::vector<float> keys(index(m_prompt * dim));
        for (int head = 0; head < m_model.numKvHeads; ++head) {
            recording.readVectors(sample, layer, VectorArray::Keys, head, 0, m_prompt, keys);
            m_keys.emplace_back(keys, m_model.headDim);
        }
        m_queries.resize(index(m_model.numHeads * rows * dim));
        for (int head = 0; head < m_model.numHeads; ++head)
            recording.readVectors(sample, layer, VectorArray::Queries, head, m_prompt - rows, m_prompt,
                std::span(m_queries).subspan(index(head * rows * dim), index(rows * dim)));
    }

    /// Fills votes of all branches.
    void count(const LayerPruner& pruner, std::span<Branch> branches) const
    {
        std::vector<std::vector<std::vector<double>>> perHead(index(m_model.numHeads));
        tbb::parallel_for(
            0, m_model.numHeads, [&](int head) { perHead[index(head)] = ofHead(head, pruner, branches); });
        for (std::size_t branch = 0; branch < branches.size(); ++branch) {
            auto& votes = branches[branch].votes;
            votes.resize(branches[branch].entering.size());
            for (std::size_t slot = 0; slot < votes.size(); ++slot) {
                double sum = 0.0;
                for (const auto& head : perHead)
                    sum += head[branch][slot];
                votes[slot] = static_cast<float>(sum / static_cast<double>(m_model.numHeads * m_rows));
            }
        }
    }

private:
    std::vector<std::vector<double>> ofHead(int head, const LayerPruner& pruner, std::span<const Branch> branches) const
    {
        constexpr std::int64_t blockRows = 64;
        const std::int64_t dim = m_model.headDim;
        const PackedKeys& keys = m_keys[index(head / m_model.groupSize())];
        std::vector<std::vector<double>> votes;
        for (const Branch& branch : branches)
            votes.emplace_back(branch.entering.size(), 0.0);
        AlignedFloats block(index(std::min(blockRows, m_rows) * m_stride));
        std::vector<RowStatistics> statistics(index(std::min(blockRows, m_rows)));
        for (std::int64_t first = 0; first < m_rows; first += blockRows) {
            const std::int64_t rows = std::min(blockRows, m_rows - first);
            attention_rows::softmaxRows(
                std::span(m_queries).subspan(index((head * m_rows + first) * dim), index(rows * dim)), keys,
                m_prompt - m_rows + first, rows, m_shape, block.span(), m_stride, statistics);
            for (std::int64_t row = 0; row < rows; ++row)
                for (std::size_t branch = 0; branch < branches.size(); ++branch)
                    add(block.data() + row * m_stride, m_prompt - m_rows + first + row,
                        pruner.voteWeight(first + row, m_rows), branches[branch].entering, votes[branch]);
        }
        return votes;
    }

    /// Adds a row, restricted to `entering` and divided by what it retains there.
    static void add(const float* row, std::int64_t query, double weight, std::span<const std::int32_t> entering,
        std::vector<double>& votes)
    {
        const auto seen
            = index(std::ranges::upper_bound(entering, static_cast<std::int32_t>(query)) - entering.begin());
        double retained = 0.0;
        for (std::size_t slot = 0; slot < seen; ++slot)
            retained += static_cast<double>(row[entering[slot]]);
        if (!(retained > 0.0))
            return;
        const double factor = weight / retained;
        for (std::size_t slot = 0; slot < seen; ++slot)
            votes[slot] += factor * static_cast<double>(row[entering[slot]]);
    }

    const ModelInfo& m_model;
    std::int64_t m_rows;
    std::int64_t m_prompt;
    std::int64_t m_stride;
    AttentionShape m_shape;
    std::vector<PackedKeys> m_keys; ///< per KV head
    std::vector<float> m_queries; ///< [heads, rows, dim]
};

/// What entered a layer, with the votes that let it in.
PrunedLayer enteredLayer(const Branch& branch, const LayerPruner& pruner, std::int64_t prompt, std::int64_t window)
{
    PrunedLayer layer;
    const std::int64_t first = window > 0 ? std::max<std::int64_t>(0, prompt - window) : 0;
    layer.positions.assign(
        std::ranges::lower_bound(branch.entering, static_cast<std::int32_t>(first)), branch.entering.end());
    const bool decided = !branch.voters.empty();
    layer.ranking.scores.assign(index(prompt), std::numeric_limits<float>::quiet_NaN());
    layer.ranking.guards.assign(index(prompt), decided ? Guard::None : Guard::Layer);
    const std::int64_t recent = pruner.votingRows(prompt);
    for (std::size_t slot = 0; slot < branch.voters.size(); ++slot) {
        const auto position = index(branch.voters[slot]);
        if (slot + index(recent) >= branch.voters.size())
            layer.ranking.guards[position] = Guard::Recent;
        else if (std::cmp_less(slot, pruner.sinks()))
            layer.ranking.guards[position] = Guard::Sink;
        else
            layer.ranking.scores[position] = branch.votes[slot];
    }
    return layer;
}

} // namespace

LayerPruning::LayerPruning(const Recording& recording, int sample, std::shared_ptr<const LayerPruner> pruner)
    : m_path(recording.path())
    , m_sample(sample)
    , m_pruner(std::move(pruner))
{
    int expected = 0;
    for (const int layer : recording.layers(sample)) {
        if (layer != expected++)
            throw RecordingError(fmt::format("{}: sample {}: found layer {}, expected layer {}: what a layer sees "
                                             "depends on all before it; record without --layers",
                m_path.string(), sample, layer, expected - 1));
        if (!recording.layer(sample, layer).hasQueriesKeys)
            throw RecordingError(fmt::format("{}: sample {}, layer {}: queries and keys are needed and were not "
                                             "recorded; record with --record qk",
                m_path.string(), sample, layer));
    }
}

LayerPruning::Course LayerPruning::find(const Budget& budget) const
{
    const auto known = std::ranges::find(m_known, budget, &std::pair<Budget, Course>::first);
    return known == m_known.end() ? nullptr : known->second;
}

std::shared_ptr<const std::vector<PrunedLayer>> LayerPruning::at(const Budget& budget) const
{
    const std::scoped_lock lock(m_mutex);
    if (const Course known = find(budget))
        return known;
    isolatedWalk(std::span(&budget, 1));
    return m_known.back().second;
}

void LayerPruning::prepare(std::span<const Budget> budgets) const
{
    const std::scoped_lock lock(m_mutex);
    std::vector<Budget> missing;
    for (const Budget& budget : budgets.last(std::min(budgets.size(), rememberedBudgets)))
        if (!find(budget) && std::ranges::find(missing, budget) == missing.end())
            missing.push_back(budget);
    if (!missing.empty())
        isolatedWalk(missing);
}

void LayerPruning::isolatedWalk(std::span<const Budget> budgets) const
{
    // A thread that waits for its own heads must not take up other work here: that might ask for the mutex it holds.
    tbb::this_task_arena::isolate([&] { walk(budgets); });
}

void LayerPruning::walk(std::span<const Budget> budgets) const
{
    if (!m_recording)
        m_recording.emplace(Recording::open(m_path));
    const std::int64_t prompt = m_recording->sample(m_sample).promptTokens;
    const std::int64_t rows = m_pruner->votingRows(prompt);
    const std::vector<int> layers = m_recording->layers(m_sample);
    std::vector<Branch> branches;
    for (const Budget& budget : budgets) {
        Branch& branch = branches.emplace_back(Branch{budget, {}, {}, {}, {}});
        for (std::int32_t position = 0; position < prompt; ++position)
            branch.entering.push_back(position);
    }
    for (const int layer : layers) {
        for (Branch& branch : branches)
            branch.layers.push_back(
                enteredLayer(branch, *m_pruner, prompt, m_recording->layer(m_sample, layer).window));
        if (layer == layers.back() || prompt == 0)
            continue;
        LayerVotes(*m_recording, m_sample, layer, rows).count(*m_pruner, branches);
        const LayerPruner::Place place{layer, m_recording->model().numLayers, prompt};
        for (Branch& branch : branches) {
            branch.voters = std::move(branch.entering);
            branch.entering = m_pruner->survivors(branch.voters, branch.votes, place, branch.budget);
        }
    }
    const std::size_t kept = rememberedBudgets - std::min(rememberedBudgets, branches.size());
    if (m_known.size() > kept)
        m_known.erase(m_known.begin(), m_known.end() - static_cast<std::ptrdiff_t>(kept));
    for (Branch& branch : branches)
        m_known.emplace_back(branch.budget, std::make_shared<const std::vector<PrunedLayer>>(std::move(branch.layers)));
}

} // namespace kvloupe
