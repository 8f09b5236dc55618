// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/transformer.h"

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/model/causal_attention.h"
#include "capture/model/forward_pass.h"
#include "capture/model/linear.h"
#include "capture/model/model_error.h"
#include "capture/model/model_weights.h"
#include "capture/model/next_token.h"
#include "capture/model/prompt_check.h"
#include "capture/model/task_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace kvloupe {

struct Transformer::State {
    State(ModelConfig modelConfig, int threads)
        : config(std::move(modelConfig))
        , runner(threads)
    {
    }

    ForwardPass::Model model() const { return {config, weights}; }

    ModelConfig config;
    ModelWeights weights;
    TaskRunner runner;
};

namespace {

std::vector<std::int64_t> positionsFrom(std::int64_t begin, std::size_t size)
{
    std::vector<std::int64_t> positions(size);
    std::iota(positions.begin(), positions.end(), begin);
    return positions;
}

/// What is known of the tokens after every row, in the form of a result; nll begins with that of the second row.
PrefillResult resultOf(ForwardPass::Predictions predictions)
{
    PrefillResult result;
    result.lastLogits = std::move(predictions.lastLogits);
    for (std::size_t i = 0; i < predictions.next.size(); ++i) {
        const NextToken& next = predictions.next[i];
        const double logSumExp = next.logSumExp();
        if (i + 1 < predictions.next.size())
            result.nll.push_back(static_cast<float>(logSumExp - static_cast<double>(predictions.targetLogits[i])));
        for (std::size_t c = 0; c < next.ids().size(); ++c) {
            result.topIds.push_back(next.ids()[c]);
            result.topLogprobs.push_back(static_cast<float>(static_cast<double>(next.logits()[c]) - logSumExp));
        }
    }
    return result;
}

float negativeLogLikelihood(std::span<const float> logits, std::int32_t id)
{
    if (logits.empty())
        return std::numeric_limits<float>::quiet_NaN();
    NextToken next;
    next.add(logits, 0);
    return static_cast<float>(next.logSumExp() - static_cast<double>(logits[static_cast<std::size_t>(id)]));
}

} // namespace

Transformer::Transformer(std::unique_ptr<State> state)
    : m_state(std::move(state))
{
}

Transformer::~Transformer() = default;

const ModelConfig& Transformer::config() const
{
    return m_state->config;
}

std::unique_ptr<Transformer> Transformer::load(const Checkpoint& checkpoint, const LoadOptions& options)
{
    useOneThreadPerProduct();
    if (options.adapter)
        options.adapter->check(checkpoint.config());
    auto state = std::make_unique<State>(checkpoint.config(), options.threads);
    state->runner.enter([&] {
        state->weights = loadWeights(checkpoint, options.adapter, options.placement, state->runner, options.progress);
    });
    return std::unique_ptr<Transformer>(new Transformer(std::move(state)));
}

const ModelWeights& Transformer::weights() const
{
    return m_state->weights;
}

KvCache Transformer::makeCache(std::int64_t capacityHint) const
{
    const ModelConfig& config = m_state->config;
    return {config.numLayers, config.numKvHeads, config.headDim, std::min(capacityHint, config.maxPositions)};
}

PrefillResult Transformer::prefill(
    std::span<const std::int32_t> ids, KvCache& cache, const PrefillOptions& options, AttentionObserver* observer) const
{
    State& state = *m_state;
    const std::int64_t begin = cache.nextPosition();
    const std::int64_t end = begin + std::ssize(ids);
    requirePrompt(state.config, ids, end);
    requireSameRope(begin, end);
    if (options.blockRows < 1)
        throw ModelError(fmt::format("block rows: found {}, expected at least 1", options.blockRows));

    PrefillResult result;
    try {
        state.runner.enter([&] {
            CausalAttention attention(state.config, cache, options.blockRows, observer);
            const std::int64_t predicted = options.positionLogits ? std::ssize(ids) : 1;
            const std::vector<std::int64_t> positions = positionsFrom(begin, ids.size());
            const std::vector<std::int64_t> textTokens(ids.size(), end);
            ForwardPass pass(
                state.model(), state.runner, attention, {ids, positions, textTokens}, predicted, options.progress);
            pass.run();
            result = resultOf(pass.predict(std::ssize(ids) - predicted));
            pass.finish();
        });
    } catch (...) {
        cache.truncate(begin);
        throw;
    }
    if (options.positionLogits)
        result.nll.insert(result.nll.begin(), negativeLogLikelihood(cache.lastLogits(), ids.front()));
    else
        result = {std::move(result.lastLogits), {}, {}, {}};
    cache.setNextPosition(end);
    cache.setLastLogits(result.lastLogits);
    return result;
}

void Transformer::requireSameRope(std::int64_t tokensBefore, std::int64_t tokensAfter) const
{
    kvloupe::requireSameRope(m_state->config, tokensBefore, tokensAfter);
}

std::vector<float> Transformer::run(
    const PassRows& rows, PassAttention& attention, LogitRows wanted, const std::function<bool(double)>& progress) const
{
    State& state = *m_state;
    if (rows.positions.size() != rows.ids.size() || rows.textTokens.size() != rows.ids.size())
        throw ModelError(fmt::format("rows: found {} tokens at {} positions of {} texts", rows.ids.size(),
            rows.positions.size(), rows.textTokens.size()));
    requirePrompt(state.config, rows.ids, rows.ids.empty() ? 0 : *std::ranges::max_element(rows.positions) + 1);
    std::vector<float> logits;
    state.runner.enter([&] {
        ForwardPass pass(state.model(), state.runner, attention, rows,
            wanted == LogitRows::All ? std::ssize(rows.ids) : 1, progress);
        pass.run();
        const std::int64_t first = wanted == LogitRows::All ? 0 : pass.rows() - 1;
        logits.resize(static_cast<std::size_t>((pass.rows() - first) * state.config.vocabSize));
        pass.logits(first, logits);
        pass.finish();
    });
    return logits;
}

void Transformer::runTasks(std::int64_t tasks, const std::function<void(std::int64_t task)>& body) const
{
    m_state->runner.enter([&] { m_state->runner.run(tasks, [&](std::int64_t task, int) { body(task); }); });
}

DecodeResult Transformer::decode(std::int32_t id, KvCache& cache, AttentionObserver* observer) const
{
    PrefillResult one = prefill(std::span(&id, 1), cache, {}, observer);
    DecodeResult result;
    result.logits = std::move(one.lastLogits);
    result.nll = one.nll.front();
    std::copy(one.topIds.begin(), one.topIds.end(), result.topIds.begin());
    std::copy(one.topLogprobs.begin(), one.topLogprobs.end(), result.topLogprobs.begin());
    return result;
}

std::vector<float> Transformer::outputValueNorms(int layer, std::span<const float> values, std::int64_t tokens) const
{
    const ModelConfig& config = m_state->config;
    const Linear& linear = m_state->weights.layers.at(static_cast<std::size_t>(layer)).output;
    AlignedFloats streamed(static_cast<std::size_t>(linear.scratchFloats(linear.outputs())));
    const LinearPiece output = linear.piece(0, linear.outputs(), streamed.span());
    const std::int64_t dim = config.headDim;
    constexpr std::int64_t blockTokens = 128;
    const std::int64_t blocks = (tokens + blockTokens - 1) / blockTokens;
    std::vector<float> norms(static_cast<std::size_t>(config.numHeads * tokens));
    TaskRunner& runner = m_state->runner;
    runner.enter([&] {
        runner.run(config.numHeads * blocks, [&](std::int64_t task, int) {
            const std::int64_t head = task / blocks;
            const std::int64_t begin = task % blocks * blockTokens;
            const std::int64_t count = std::min(blockTokens, tokens - begin);
            const float* vectors = values.data() + (head / config.queriesPerKvHead() * tokens + begin) * dim;
            std::vector<float> projected(static_cast<std::size_t>(count * config.hiddenSize));
            output.applyInputs({vectors, count, dim}, head * dim, dim, {projected.data(), count, config.hiddenSize});
            for (std::int64_t t = 0; t < count; ++t) {
                const float* row = projected.data() + t * config.hiddenSize;
                norms[static_cast<std::size_t>(head * tokens + begin + t)] = std::accumulate(
                    row, row + config.hiddenSize, 0.0F, [](float sum, float x) { return sum + std::abs(x); });
            }
        });
    });
    return norms;
}

std::vector<std::int32_t> Transformer::generateGreedy(KvCache& cache, std::span<const float> firstLogits,
    std::int64_t maxTokens, std::span<const std::int32_t> eosIds,
    const std::function<bool(std::int32_t)>& onToken) const
{
    std::vector<std::int32_t> generated;
    std::vector<float> logits(firstLogits.begin(), firstLogits.end());
    while (std::ssize(generated) < maxTokens) {
        if (!generated.empty())
            logits = decode(generated.back(), cache).logits;
        const auto id = static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
        generated.push_back(id);
        const bool goOn = !onToken || onToken(id);
        if (!goOn || std::find(eosIds.begin(), eosIds.end(), id) != eosIds.end())
            break;
    }
    return generated;
}

} // namespace kvloupe
