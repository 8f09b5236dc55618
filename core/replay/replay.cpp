// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/replay.h"

#include "core/replay/recorded_decode_rows.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

namespace kvloupe {

std::int64_t ReplayResult::realisedTokens(int layer, int set) const
{
    const auto found = kept.find(layer);
    if (found == kept.end() || set < 0 || static_cast<std::size_t>(set) >= found->second.sets.size())
        throw MethodError(fmt::format("replay: layer {}, set {} is not part of the result", layer, set));
    return static_cast<std::int64_t>(found->second.sets[static_cast<std::size_t>(set)].size());
}

ScoredSample::ScoredSample(Method method, PromptLayout layout, std::span<const LayerEvidence> evidence, int sample)
    : m_method(std::move(method))
    , m_layout(std::move(layout))
    , m_sample(sample)
    , m_scores(evidence.size())
{
    if (!evidence.empty()) {
        m_numLayers = evidence.front().numLayers;
        m_kvHeads = evidence.front().kvHeads;
    }
    for (const LayerEvidence& layer : evidence)
        m_layers.push_back(layer.layer);
    tbb::parallel_for(std::size_t{0}, evidence.size(),
        [&](std::size_t index) { m_scores[index] = m_method.score(evidence[index], m_layout); });
}

ScoredSample::ScoredSample(Method method, PromptLayout layout, std::vector<int> layers, std::vector<Scores> scores,
    int numLayers, int kvHeads, int sample, std::shared_ptr<const LayerPruning> pruning)
    : m_method(std::move(method))
    , m_layout(std::move(layout))
    , m_numLayers(numLayers)
    , m_kvHeads(kvHeads)
    , m_sample(sample)
    , m_layers(std::move(layers))
    , m_scores(std::move(scores))
    , m_pruning(std::move(pruning))
{
    if (m_layers.size() != m_scores.size())
        throw MethodError(fmt::format(
            "replay: found {} layers and scores of {}, expected as many", m_layers.size(), m_scores.size()));
}

ScoredSample ScoredSample::join(
    std::span<const std::shared_ptr<const ScoredSample>> layers, std::shared_ptr<const LayerPruning> pruning)
{
    std::vector<int> numbers;
    std::vector<Scores> scores;
    for (const auto& layer : layers) {
        numbers.insert(numbers.end(), layer->m_layers.begin(), layer->m_layers.end());
        scores.insert(scores.end(), layer->m_scores.begin(), layer->m_scores.end());
    }
    const ScoredSample& first = *layers.front();
    return {first.m_method, first.m_layout, std::move(numbers), std::move(scores), first.m_numLayers, first.m_kvHeads,
        first.m_sample, std::move(pruning)};
}

std::vector<KeepSet> chooseLayers(std::span<const std::shared_ptr<const ScoredSample>> layers, const Budget& budget)
{
    std::vector<KeepSet> kept(layers.size());
    tbb::parallel_for(std::size_t{0}, layers.size(),
        [&](std::size_t index) { kept[index] = layers[index]->chooseLayer(budget, layers[index]->layers().front()); });
    return kept;
}

const LayerPruning& ScoredSample::pruning() const
{
    if (!m_pruning)
        throw MethodError(fmt::format("method '{}' decides on the way through the layers: it needs a recording of them "
                                      "all, or a live run",
            m_method.spec));
    return *m_pruning;
}

void ScoredSample::prepare(std::span<const Budget> budgets) const
{
    if (!m_method.chooser)
        pruning().prepare(budgets);
}

std::vector<KeepSet> ScoredSample::cut(
    std::size_t first, std::size_t count, const Budget& budget, std::vector<std::string>& notes) const
{
    const ChoiceContext context{
        std::span(m_layers).subspan(first, count), m_numLayers, m_kvHeads, budget, m_layout, m_sample, &notes};
    const auto scores = std::span(m_scores).subspan(first, count);
    std::vector<KeepSet> kept = m_method.chooser->choose(scores, context);
    for (std::size_t layer = 0; layer < count; ++layer)
        if (const auto offset = static_cast<std::int32_t>(scores[layer].firstPosition); offset > 0)
            for (auto& set : kept[layer].sets)
                for (std::int32_t& position : set)
                    position += offset;
    return kept;
}

ReplayResult ScoredSample::choose(const Budget& budget) const
{
    ReplayResult result;
    result.requestedTokens = budget.tokensKept(m_layout.promptTokens(), BudgetRounding::ExactFloor);
    if (!m_method.chooser) {
        const auto layers = pruning().at(budget);
        for (std::size_t layer = 0; layer < m_layers.size(); ++layer)
            result.kept.emplace(m_layers[layer], layerKeepSet((*layers)[layer].positions, m_kvHeads));
        const std::int64_t total = std::transform_reduce(layers->begin(), layers->end(), std::int64_t{}, std::plus<>(),
            [](const PrunedLayer& layer) { return std::ssize(layer.positions); });
        const std::int64_t wanted = budget.tokensKept(m_layout.promptTokens());
        if (total > wanted * std::ssize(*layers))
            result.notes.push_back(
                fmt::format("layers keep {:.1f} tokens on the average, more than the budget of {}: the "
                            "ratio of the method is fixed, or goes no lower",
                    static_cast<double>(total) / static_cast<double>(layers->size()), wanted));
        return result;
    }
    std::vector<KeepSet> kept(m_layers.size());
    std::vector<std::vector<std::string>> notes(m_layers.size());
    if (m_method.chooser->scope() == ChooserScope::Model)
        kept = cut(0, m_layers.size(), budget, result.notes);
    else
        tbb::parallel_for(std::size_t{0}, m_layers.size(),
            [&](std::size_t layer) { kept[layer] = std::move(cut(layer, 1, budget, notes[layer]).front()); });
    for (std::size_t layer = 0; layer < m_layers.size(); ++layer) {
        result.kept.emplace(m_layers[layer], std::move(kept[layer]));
        for (std::string& note : notes[layer])
            if (std::ranges::find(result.notes, note) == result.notes.end())
                result.notes.push_back(std::move(note));
    }
    return result;
}

KeepSet ScoredSample::chooseLayer(const Budget& budget, int layer) const
{
    const auto found = std::ranges::find(m_layers, layer);
    if (found == m_layers.end())
        throw MethodError(fmt::format("replay: layer {} was not scored", layer));
    const auto index = static_cast<std::size_t>(found - m_layers.begin());
    if (!m_method.chooser)
        return layerKeepSet((*pruning().at(budget))[index].positions, m_kvHeads);
    std::vector<std::string> notes;
    if (m_method.chooser->scope() == ChooserScope::Model)
        return std::move(cut(0, m_layers.size(), budget, notes)[index]);
    return std::move(cut(index, 1, budget, notes).front());
}

std::vector<LayerRanking> ScoredSample::rank(const Budget& budget) const
{
    std::vector<LayerRanking> result;
    if (!m_method.chooser) {
        const auto layers = pruning().at(budget);
        for (std::size_t layer = 0; layer < m_layers.size(); ++layer) {
            const auto first = static_cast<std::ptrdiff_t>(m_scores[layer].firstPosition);
            const SetRanking& all = (*layers)[layer].ranking;
            const SetRanking set{
                {all.scores.begin() + first, all.scores.end()}, {all.guards.begin() + first, all.guards.end()}};
            result.push_back({std::vector<SetRanking>(static_cast<std::size_t>(m_kvHeads), set), false});
        }
        return result;
    }
    const bool wholeModel = m_method.chooser->scope() == ChooserScope::Model;
    const std::size_t step = wholeModel ? m_layers.size() : 1;
    for (std::size_t first = 0; first < m_layers.size(); first += step) {
        const ChoiceContext context{
            std::span(m_layers).subspan(first, step), m_numLayers, m_kvHeads, budget, m_layout, m_sample, nullptr};
        for (LayerRanking& layer : m_method.chooser->rank(std::span(m_scores).subspan(first, step), context))
            result.push_back(std::move(layer));
    }
    return result;
}

namespace {

/// Mean over the last `rows` rows of the attention on `kept`, for one query head. Positions before the evidence are no
/// longer in the cache and count as nothing.
float retainedShare(const LayerEvidence& evidence, int head, std::int64_t rows, std::span<const std::int32_t> kept)
{
    double mass = 0.0;
    for (std::int64_t row = evidence.lastRowCount - rows; row < evidence.lastRowCount; ++row) {
        const auto attention = evidence.lastRow(head, row);
        for (const std::int32_t position : kept)
            if (const std::int64_t index = position - evidence.firstPosition; index >= 0 && index < evidence.tokens)
                mass += static_cast<double>(attention[static_cast<std::size_t>(index)]);
    }
    return static_cast<float>(std::clamp(mass / static_cast<double>(rows), 0.0, 1.0));
}

} // namespace

void addRetainedMass(ReplayResult& result, std::span<const LayerEvidence> evidence, std::int64_t rows)
{
    for (const LayerEvidence& layer : evidence) {
        const auto kept = result.kept.find(layer.layer);
        const std::int64_t used = std::min(rows, layer.lastRowCount);
        if (kept == result.kept.end() || used < 1)
            continue;
        const auto sets = static_cast<int>(kept->second.sets.size());
        std::vector<float> mass(static_cast<std::size_t>(layer.queryHeads));
        tbb::parallel_for(0, layer.queryHeads, [&](int head) {
            const auto& set = kept->second.sets[static_cast<std::size_t>(head / (layer.queryHeads / sets))];
            mass[static_cast<std::size_t>(head)] = retainedShare(layer, head, used, set);
        });
        result.retainedMass[layer.layer] = std::move(mass);
    }
}

Replay::Replay(const Recording& recording)
    : m_recording(&recording)
{
}

std::vector<ScoredSample> Replay::score(int sample, std::span<const Method> methods) const
{
    return score(sample, promptLayout(*m_recording, sample), methods);
}

std::vector<ScoredSample> Replay::score(int sample, const PromptLayout& layout, std::span<const Method> methods) const
{
    EvidenceNeeds needs;
    for (const Method& method : methods)
        needs.merge(method.needs(layout));

    const EvidenceBuilder builder(*m_recording);
    const std::vector<int> layers = m_recording->layers(sample);
    std::vector<std::vector<Scores>> scores(methods.size(), std::vector<Scores>(layers.size()));
    for (std::size_t layer = 0; layer < layers.size(); ++layer) {
        const OwnedEvidence evidence = builder.build(sample, layers[layer], needs);
        tbb::parallel_for(std::size_t{0}, methods.size(),
            [&](std::size_t method) { scores[method][layer] = methods[method].score(evidence.view, layout); });
    }
    std::vector<ScoredSample> result;
    for (std::size_t method = 0; method < methods.size(); ++method) {
        std::shared_ptr<const LayerPruning> pruning;
        if (methods[method].layerPruner)
            pruning = std::make_shared<LayerPruning>(*m_recording, sample, methods[method].layerPruner);
        result.emplace_back(methods[method], layout, layers, std::move(scores[method]), m_recording->model().numLayers,
            m_recording->model().numKvHeads, sample, std::move(pruning));
    }
    return result;
}

void Replay::addRetainedMass(int sample, std::span<ReplayResult> results, std::int64_t rows) const
{
    const EvidenceBuilder builder(*m_recording);
    EvidenceNeeds needs;
    needs.lastRows = rows;
    for (const int layer : m_recording->layers(sample)) {
        const LayerInfo& info = m_recording->layer(sample, layer);
        if (!info.hasQueriesKeys && (!info.hasTail || info.tailRows < rows))
            continue;
        const OwnedEvidence evidence = builder.build(sample, layer, needs);
        for (ReplayResult& result : results)
            kvloupe::addRetainedMass(result, std::span(&evidence.view, 1), rows);
    }
}

void Replay::addRetainedMass(int sample, ReplayResult& result, std::int64_t rows) const
{
    addRetainedMass(sample, std::span(&result, 1), rows);
}

Explanation Replay::explain(int sample, const ScoredSample& scored, const Budget& budget) const
{
    const std::optional<Method> unpooled = scored.method().withoutPooling();
    if (!unpooled)
        return kvloupe::explain(scored, budget);
    const std::vector<ScoredSample> again = score(sample, scored.layout(), std::span(&*unpooled, 1));
    return kvloupe::explain(scored, budget, &again.front());
}

namespace {

/// What the prefill said of the tokens that no decode policy has looked at since.
void addPrefill(HeadTimeline& timeline, const SetExplanation& prefill)
{
    for (std::size_t position = 0; position < prefill.kept.size(); ++position) {
        const bool lookedAtSince = timeline.ranks[position] > 0 || timeline.guards[position] != Guard::None;
        if (lookedAtSince)
            continue;
        timeline.scores[position] = prefill.scores[position];
        timeline.ranks[position] = prefill.ranks[position];
        timeline.guards[position] = prefill.guards[position];
    }
}

} // namespace

CacheTimeline Replay::timeline(int sample, const ScoredSample& scored, const Budget& budget,
    std::optional<std::int64_t> steps, const Budget* decodeBudget) const
{
    const SampleInfo& info = m_recording->sample(sample);
    const std::int64_t generated = info.totalTokens - info.promptTokens;
    if (steps && (*steps < 0 || *steps > generated))
        throw MethodError(fmt::format("{}: sample {}: found step {}, expected 0 to {}, the number of generated tokens",
            m_recording->path().string(), sample, *steps, generated));

    const Method& method = scored.method();
    CacheTimeline timeline;
    timeline.granularity = method.granularity;
    timeline.fidelity = method.fidelityWhileDecoding();
    timeline.promptTokens = info.promptTokens;
    timeline.steps = steps.value_or(generated);
    const DecodeNeeds needs = method.decodePolicy ? method.decodePolicy->needs() : DecodeNeeds{};

    const ReplayResult prefill = scored.choose(budget);
    const Explanation explanation = kvloupe::explain(scored, budget);
    for (std::size_t index = 0; index < scored.layers().size(); ++index) {
        const int layer = scored.layers()[index];
        const KeepSet& kept = prefill.kept.at(layer);
        std::optional<RecordedDecodeRows> rows;
        if (needs.any())
            rows.emplace(*m_recording, sample, layer, timeline.steps, needs);
        DecodeRun run{method, kept, scored.scores()[index]};
        run.layer = layer;
        run.numLayers = scored.numLayers();
        run.promptTokens = timeline.promptTokens;
        run.steps = timeline.steps;
        run.capacity = heldCapacity(kept.largestSet(), budget);
        run.softmaxScale = info.softmaxScale;
        run.budget = &budget;
        run.decodeBudget = decodeBudget != nullptr ? decodeBudget : &budget;
        std::vector<HeadTimeline> sets = decodeTimeline(run, rows ? &*rows : nullptr);
        for (std::size_t set = 0; set < sets.size(); ++set)
            addPrefill(sets[set], explanation.layers.at(layer)[set]);
        timeline.layers.emplace(layer, std::move(sets));
    }
    return timeline;
}

} // namespace kvloupe
