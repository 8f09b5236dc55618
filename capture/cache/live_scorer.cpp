// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/live_scorer.h"

#include "capture/model/model_error.h"
#include "capture/model/transformer.h"
#include "core/attention/block_column_sums.h"
#include "core/recording/vector_statistics.h"
#include "core/replay/evidence_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

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
    State(const Transformer& transformer, const PromptLayout& promptLayout, std::span<const Method> scoredMethods)
        : model(transformer)
        , config(transformer.config())
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

    const Transformer& model;
    const ModelConfig& config;
    const PromptLayout& layout;
    std::span<const Method> methods;
    EvidenceNeeds needs;
    std::int64_t tokens;
    std::int64_t lastRows = 0;
    std::int64_t policyQueries = 0;

    LayerVectors vectors; // of the layer in hand
    BlockColumnSums columnSums;
    std::vector<float> rows; // [heads, lastRows, tokens]
    std::vector<std::vector<Scores>> scores; // per method and layer
    std::vector<int> layers;
    std::vector<std::vector<float>> lastQueries; // per layer
};

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
    view.tokens = tokens;
    view.softmaxScale = 1.0 / std::sqrt(static_cast<double>(dim));
    view.lastRowCount = lastRows;
    result.lastRows = std::move(rows);
    if (needs.columnSums)
        result.columnSums = columnSums.sums();
    if (needs.keyNorms)
        result.keyNorms = euclideanNorms(vectors.keys, dim);
    if (needs.valueNorms)
        result.valueNorms = euclideanNorms(vectors.values, dim);
    if (needs.outputValueNorms)
        result.outputValueNorms = model.outputValueNorms(vectors.layer, vectors.values, tokens);
    view.lastQueryCount = std::min(needs.lastQueries, tokens);
    if (view.lastQueryCount > 0 && view.lastQueryCount < tokens)
        result.lastQueries = lastVectors(vectors.queries, config.numHeads, tokens, dim, view.lastQueryCount);
    if (needs.queryStatistics) {
        QueryStatistics statistics = queryStatistics(vectors.queriesBeforeRope, config.numHeads, tokens, dim);
        result.queryMeans = std::move(statistics.mean);
        result.queryCovariances = std::move(statistics.covariance);
    }
    if (needs.rope)
        result.inverseFrequencies.assign(model.inverseFrequencies().begin(), model.inverseFrequencies().end());
    result.bind();
    // What the pass holds as it is wanted is not copied.
    if (view.lastQueryCount == tokens)
        view.lastQueries = vectors.queries;
    if (needs.keys)
        view.keys = vectors.keys;
    if (needs.values)
        view.values = vectors.values;
    return result;
}

LiveScorer::LiveScorer(const Transformer& model, const PromptLayout& layout, std::span<const Method> methods)
    : m_state(std::make_unique<State>(model, layout, methods))
{
}

LiveScorer::~LiveScorer() = default;

bool LiveScorer::wantsQueriesBeforeRope(int /*layer*/) const
{
    return m_state->needs.queryStatistics;
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
