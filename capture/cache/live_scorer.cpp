// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/live_scorer.h"

#include "capture/cache/live_model.h"
#include "capture/model/model_error.h"
#include "core/attention/block_column_sums.h"
#include "core/recording/vector_statistics.h"
#include "core/replay/evidence_builder.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

namespace {

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// The last `count` vectors of every head of [heads, tokens, dim].
std::vector<float> lastVectors(
    std::span<const float> vectors, std::int64_t heads, std::int64_t tokens, std::int64_t dim, std::int64_t count)
{
    std::vector<float> result;
    result.reserve(index(heads * count * dim));
    for (std::int64_t head = 0; head < heads; ++head) {
        const auto part = vectors.subspan(index(((head + 1) * tokens - count) * dim), index(count * dim));
        result.insert(result.end(), part.begin(), part.end());
    }
    return result;
}

} // namespace

struct LiveScorer::State {
    State(const LiveModel& liveModel, const PromptLayout& promptLayout, std::span<const Method> scoredMethods)
        : model(liveModel)
        , config(liveModel.config())
        , layout(promptLayout)
        , methods(scoredMethods)
        , tokens(promptLayout.promptTokens())
        , columnSums(0, 0)
        , scores(scoredMethods.size())
    {
        for (const Method& method : methods) {
            if (method.layerPruner == nullptr)
                needs.merge(method.needs(layout));
            if (method.decodePolicy)
                policyQueries = std::max(policyQueries, method.decodePolicy->needs().promptQueries);
        }
        policyQueries = std::min(policyQueries, tokens);
        lastRows = std::min(needs.lastRows, tokens);
        if (needs.columnSums)
            columnSums = BlockColumnSums(config.numHeads, tokens);
    }

    OwnedEvidence evidence();
    std::vector<float> lastRowsOf(const LayerEvidence& view) const;
    /// The cache of a layer with a sliding window begins here.
    std::int64_t firstPosition() const
    {
        const std::int64_t window = config.window(vectors.layer);
        return window > 0 ? std::max<std::int64_t>(0, tokens - window) : 0;
    }
    /// Columns of the layer's cache, of an array with one row of all tokens per head.
    std::vector<float> cached(std::vector<float> values, std::int64_t heads) const
    {
        const std::int64_t held = tokens - firstPosition();
        return held == tokens ? std::move(values) : lastVectors(values, heads, tokens, 1, held);
    }

    const LiveModel& model;
    const ModelConfig& config;
    const PromptLayout& layout;
    std::span<const Method> methods;
    EvidenceNeeds needs;
    std::int64_t tokens;
    std::int64_t lastRows = 0;
    std::int64_t policyQueries = 0;

    LayerVectors vectors; // of the layer in hand
    BlockColumnSums columnSums;
    std::vector<float> givenSums; // [heads, tokens] instead of them, if the model brings them
    std::vector<float> rows; // [heads, lastRows, tokens]
    std::vector<std::vector<Scores>> scores; // per method and layer
    std::vector<int> layers;
    std::vector<std::vector<float>> lastQueries; // per layer
};

/// Rows of `view`, out of those of all tokens.
std::vector<float> LiveScorer::State::lastRowsOf(const LayerEvidence& view) const
{
    std::vector<float> result;
    for (std::int64_t head = 0; head < config.numHeads; ++head) {
        for (std::int64_t row = lastRows - view.lastRowCount; row < lastRows; ++row) {
            const auto begin = rows.begin() + (head * lastRows + row) * tokens + view.firstPosition;
            result.insert(result.end(), begin, begin + view.tokens);
        }
    }
    return result;
}

OwnedEvidence LiveScorer::State::evidence()
{
    const std::int64_t dim = config.headDim;
    OwnedEvidence result;
    LayerEvidence& view = result.view;
    view.layer = vectors.layer;
    view.numLayers = config.numLayers;
    view.queryHeads = config.numHeads;
    view.kvHeads = config.numKvHeads;
    view.headDim = config.headDim;
    view.firstPosition = firstPosition();
    view.tokens = tokens - view.firstPosition;
    view.softmaxScale = config.attentionScale;
    view.lastRowCount = std::min(lastRows, view.tokens);
    const bool whole = view.tokens == tokens;
    result.lastRows = whole ? std::move(rows) : lastRowsOf(view);
    if (needs.columnSums)
        result.columnSums = cached(givenSums.empty() ? columnSums.sums() : std::move(givenSums), config.numHeads);
    if (needs.keyNorms)
        result.keyNorms = cached(euclideanNorms(vectors.keys, dim), config.numKvHeads);
    if (needs.valueNorms)
        result.valueNorms = cached(euclideanNorms(vectors.values, dim), config.numKvHeads);
    if (needs.outputValueNorms)
        result.outputValueNorms
            = cached(model.outputValueNorms(vectors.layer, vectors.values, tokens), config.numHeads);
    if (needs.keys && !whole)
        result.keys = lastVectors(vectors.keys, config.numKvHeads, tokens, dim, view.tokens);
    if (needs.values && !whole)
        result.values = lastVectors(vectors.values, config.numKvHeads, tokens, dim, view.tokens);
    view.lastQueryCount = std::min(needs.lastQueries, view.tokens);
    if (view.lastQueryCount > 0 && view.lastQueryCount < tokens)
        result.lastQueries = lastVectors(vectors.queries, config.numHeads, tokens, dim, view.lastQueryCount);
    if (needs.queryStatistics) {
        QueryStatistics statistics = queryStatistics(vectors.queriesBeforeRope, config.numHeads, tokens, dim);
        result.queryMeans = std::move(statistics.mean);
        result.queryCovariances = std::move(statistics.covariance);
    }
    if (needs.rope) {
        const RopeVariant& rope = config.rope(vectors.layer);
        const std::vector<float> frequencies = rope.frequenciesOf(tokens);
        result.inverseFrequencies.assign(frequencies.begin(), frequencies.end());
        view.ropeAmplitude = rope.attentionScaling;
    }
    result.bind();
    // What the pass holds as it is wanted is not copied.
    if (view.lastQueryCount == tokens)
        view.lastQueries = vectors.queries;
    if (needs.keys && whole)
        view.keys = vectors.keys;
    if (needs.values && whole)
        view.values = vectors.values;
    return result;
}

LiveScorer::LiveScorer(const LiveModel& model, const PromptLayout& layout, std::span<const Method> methods)
    : m_state(std::make_unique<State>(model, layout, methods))
{
}

LiveScorer::~LiveScorer() = default;

bool LiveScorer::wantsQueriesBeforeRope(int /*layer*/) const
{
    return m_state->needs.queryStatistics;
}

std::int64_t LiveScorer::firstRowWanted(std::int64_t entering) const
{
    return entering - m_state->lastRows;
}

bool LiveScorer::wantsColumnSums() const
{
    return m_state->needs.columnSums;
}

void LiveScorer::columnSums(int /*layer*/, std::span<const float> sums)
{
    m_state->givenSums.assign(sums.begin(), sums.end());
}

void LiveScorer::beginLayer(const LayerVectors& vectors)
{
    State& state = *m_state;
    if (vectors.tokenBegin != 0 || vectors.tokens != state.tokens)
        throw ModelError(fmt::format("live scores: the prefill brings tokens {} to {}, expected the whole prompt of {}",
            vectors.tokenBegin, vectors.tokenBegin + vectors.tokens, state.tokens));
    state.vectors = vectors;
    state.rows.assign(index(state.config.numHeads * state.lastRows * state.tokens), 0.0F);
    if (state.needs.columnSums)
        state.columnSums.clear();
}

void LiveScorer::block(int /*layer*/, int head, std::int64_t queryBegin, std::int64_t rows,
    std::span<const float> probabilities, std::int64_t stride, std::span<const RowStatistics> /*statistics*/)
{
    State& state = *m_state;
    const std::int64_t firstKept = state.tokens - state.lastRows;
    for (std::int64_t r = std::max<std::int64_t>(0, firstKept - queryBegin); r < rows; ++r)
        std::copy_n(probabilities.begin() + r * stride, queryBegin + r + 1,
            state.rows.begin() + (head * state.lastRows + queryBegin + r - firstKept) * state.tokens);
    if (state.needs.columnSums)
        state.columnSums.add(head, queryBegin, rows, probabilities, stride);
}

void LiveScorer::endLayer(int layer)
{
    State& state = *m_state;
    state.layers.push_back(layer);
    if (state.policyQueries > 0)
        state.lastQueries.push_back(lastVectors(
            state.vectors.queries, state.config.numHeads, state.tokens, state.config.headDim, state.policyQueries));
    const OwnedEvidence evidence = state.evidence();
    for (auto& ofMethod : state.scores)
        ofMethod.emplace_back();
    state.model.runTasks(std::ssize(state.methods), [&](std::int64_t task) {
        const Method& method = state.methods[index(task)];
        if (method.layerPruner == nullptr)
            state.scores[index(task)].back() = method.score(evidence.view, state.layout);
    });
}

std::vector<std::shared_ptr<const ScoredSample>> LiveScorer::scored() const
{
    std::vector<std::shared_ptr<const ScoredSample>> result;
    for (std::size_t i = 0; i < m_state->methods.size(); ++i) {
        const Method& method = m_state->methods[i];
        result.push_back(method.layerPruner != nullptr
                ? nullptr
                : std::make_shared<const ScoredSample>(method, m_state->layout, m_state->layers, m_state->scores[i],
                    m_state->config.numLayers, m_state->config.numKvHeads));
    }
    return result;
}

std::int64_t LiveScorer::lastQueryCount() const
{
    return m_state->policyQueries;
}

std::vector<std::vector<float>> LiveScorer::takeLastQueries()
{
    return std::move(m_state->lastQueries);
}

} // namespace kvloupe
