// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/transformer.h"

#include "capture/checkpoint/checkpoint.h"
#include "capture/model/linear.h"
#include "capture/model/model_error.h"
#include "capture/model/model_weights.h"
#include "capture/model/next_token.h"
#include "capture/model/rms_norm.h"
#include "capture/model/rope.h"
#include "capture/model/swiglu.h"
#include "capture/model/task_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

namespace kvloupe {

struct Transformer::State {
    State(ModelConfig modelConfig, int threads)
        : config(std::move(modelConfig))
        , inverseFrequencies(config.inverseFrequencies())
        , runner(threads)
    {
    }

    ModelConfig config;
    std::vector<double> inverseFrequencies; // [head_dim / 2]
    ModelWeights weights;
    TaskRunner runner;
};

namespace {

// Sizes of the pieces that products are cut into: large enough that packing the operands costs little, small enough
// that a piece of the result stays in the second-level cache. They depend on shapes alone, never on the number of
// threads, which is what keeps the bits of a result the same.
constexpr std::int64_t productRows = 384;
constexpr std::int64_t productColumns = 512;
constexpr std::int64_t mlpColumns = 256; // a gate and an up piece at once
constexpr std::int64_t residualColumns = 288;
constexpr std::int64_t logitColumns = 512;
constexpr std::int64_t vocabularyPiece = 2048; // ids whose statistics one task gathers
constexpr std::int64_t valueRows = 128;
constexpr std::int64_t normRows = 64;

std::size_t count(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// Shapes of one pass, in the letters of the comments below.
struct Shapes {
    std::int64_t n = 0; // new tokens
    std::int64_t past = 0; // tokens in the cache before
    std::int64_t C = 0; // hidden
    std::int64_t H = 0; // query heads
    std::int64_t K = 0; // key and value heads
    std::int64_t d = 0; // head_dim
    std::int64_t I = 0; // intermediate
    std::int64_t V = 0; // vocabulary
};

/// One run of tokens through the layers.
class ForwardPass {
public:
    ForwardPass(const ModelConfig& config, std::span<const double> inverseFrequencies, const ModelWeights& weights,
        TaskRunner& runner, std::span<const std::int32_t> ids, KvCache& cache, const PrefillOptions& options,
        AttentionObserver* observer)
        : m_config(config)
        , m_weights(weights)
        , m_runner(runner)
        , m_ids(ids)
        , m_cache(cache)
        , m_options(options)
        , m_observer(observer)
        , m_shapes{std::ssize(ids), cache.size(), config.hiddenSize, config.numHeads, config.numKvHeads, config.headDim,
              config.intermediateSize, config.vocabSize}
        , m_positions(ids.size())
        , m_rows(EvenSplit::ofAtMost(std::ssize(ids), productRows, 16))
        , m_meter(options.progress, totalWork())
        , m_hidden(count(m_shapes.n * m_shapes.C))
        , m_normed(count(m_shapes.n * m_shapes.C))
        , m_queries(count(m_shapes.n * m_shapes.H * m_shapes.d))
        , m_keys(count(m_shapes.n * m_shapes.K * m_shapes.d))
        , m_values(count(m_shapes.n * m_shapes.K * m_shapes.d))
        , m_context(count(m_shapes.n * m_shapes.H * m_shapes.d))
        , m_activated(count(m_shapes.n * m_shapes.I))
    {
        std::iota(m_positions.begin(), m_positions.end(), cache.nextPosition());
        m_rope.emplace(inverseFrequencies, m_positions);
        for (int slot = 0; slot < runner.slots(); ++slot)
            m_scratch.emplace_back(count(scratchFloats()));
    }

    void run()
    {
        embed(); // hidden (n, C)
        for (int layer = 0; layer < m_config.numLayers; ++layer) {
            const LayerWeights& weights = m_weights.layers[count(layer)];
            normalise(weights.attentionNorm, layer); // normed (n, C)
            projectQkv(weights, layer); // queries (H, n, d), keys and values (K, n, d)
            attend(layer); // context (n, H * d)
            addProjected(m_context, m_shapes.H * m_shapes.d, weights.output); // hidden += context Wo^T
            normalise(weights.mlpNorm, layer); // normed (n, C)
            activate(weights); // activated (n, I)
            addProjected(m_activated, m_shapes.I, weights.down); // hidden += activated Wd^T
        }
        normalise(m_weights.finalNorm, m_config.numLayers); // normed (n, C)
    }

    /// Logits after rows [firstRow, n), a piece at a time; the whole row only of the last.
    PrefillResult predict(std::int64_t firstRow);

    void finish() { m_meter.finish(); }

private:
    float* scratch(int slot) { return m_scratch[count(slot)].data(); }

    std::int64_t attentionStride(std::int64_t columns) const
    {
        // Rows that lie a multiple of 4 KiB apart would share the same few sets of the first-level cache.
        const std::int64_t stride = (columns + 15) / 16 * 16;
        return stride % 256 == 0 ? stride + 16 : stride;
    }

    std::int64_t scratchFloats() const
    {
        const auto& [n, past, C, H, K, d, I, V] = m_shapes;
        const std::int64_t product
            = std::min(n, productRows) * std::max({productColumns, d, 2 * mlpColumns, logitColumns});
        return std::max(product, std::min(n, m_options.blockRows) * attentionStride(past + n));
    }

    double totalWork() const
    {
        const auto& [n, past, C, H, K, d, I, V] = m_shapes;
        const double perLayer = static_cast<double>(n) * static_cast<double>((2 * H + 2 * K) * d * C + 3 * I * C)
            + static_cast<double>(H * d * n * (past + n));
        return perLayer * m_config.numLayers
            + static_cast<double>(C * V) * static_cast<double>(m_options.positionLogits ? n : 1);
    }

    void advance(std::int64_t rows, std::int64_t columns, std::int64_t inner)
    {
        m_meter.advance(static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(inner));
    }

    void embed();
    void normalise(const std::vector<float>& gain, int layer);
    void projectQkv(const LayerWeights& weights, int layer);
    void scatterHead(std::int64_t head, std::int64_t rowBegin, Rows<const float> projected);
    void attend(int layer);
    void attendBlock(int layer, std::int64_t head, std::int64_t queryBegin, std::int64_t queryEnd, int slot);
    void addWeightedValues(
        Rows<const float> probabilities, std::int64_t queryBegin, std::span<const float> values, Rows<float> context);
    void activate(const LayerWeights& weights);
    void addProjected(const AlignedFloats& input, std::int64_t inputs, const Linear& projection);

    const ModelConfig& m_config;
    const ModelWeights& m_weights;
    TaskRunner& m_runner;
    std::span<const std::int32_t> m_ids;
    KvCache& m_cache;
    const PrefillOptions& m_options;
    AttentionObserver* m_observer;
    Shapes m_shapes;
    std::vector<std::int64_t> m_positions; // (n)
    EvenSplit m_rows;
    WorkMeter m_meter;
    std::optional<RopeTable> m_rope; // (n, d / 2)
    AlignedFloats m_hidden; // (n, C), the residual stream
    AlignedFloats m_normed; // (n, C)
    AlignedFloats m_queries; // (H, n, d)
    AlignedFloats m_queriesBeforeRope; // (H, n, d) or empty
    AlignedFloats m_keys; // (K, n, d)
    AlignedFloats m_values; // (K, n, d)
    AlignedFloats m_context; // (n, H * d)
    AlignedFloats m_activated; // (n, I)
    std::vector<AlignedFloats> m_scratch; // one per thread
};

void ForwardPass::embed()
{
    float* row = m_hidden.data();
    for (const std::int32_t id : m_ids) {
        const std::span<const float> embedding = m_weights.embedding.weightRow(id);
        row = std::copy(embedding.begin(), embedding.end(), row);
    }
}

/// normed = rmsNorm(hidden); `layer` is where a breakdown is said to have been.
void ForwardPass::normalise(const std::vector<float>& gain, int layer)
{
    const auto& [n, past, C, H, K, d, I, V] = m_shapes;
    std::atomic<bool> broken = false;
    m_runner.run((n + normRows - 1) / normRows, [&](std::int64_t task, int) {
        for (std::int64_t row = task * normRows; row < std::min(n, (task + 1) * normRows); ++row) {
            const std::span<const float> x = m_hidden.span().subspan(count(row * C), count(C));
            if (!rmsNorm(x, gain, m_config.rmsNormEps, m_normed.span().subspan(count(row * C), count(C))))
                broken = true;
        }
    });
    if (broken) {
        throw ModelError(fmt::format("model {}: the forward pass gives infinities or NaN, first seen {} layer {}",
            m_config.name, layer < m_config.numLayers ? "in" : "after", std::min(layer, m_config.numLayers - 1)));
    }
}

/// queries, keys, values = rope(normed Wqkv^T), head by head; keys and values also go into the cache.
void ForwardPass::projectQkv(const LayerWeights& weights, int layer)
{
    const auto& [n, past, C, H, K, d, I, V] = m_shapes;
    const bool beforeRope = m_observer != nullptr && m_observer->wantsQueriesBeforeRope(layer);
    if (!beforeRope)
        m_queriesBeforeRope = {};
    else if (m_queriesBeforeRope.size() == 0)
        m_queriesBeforeRope = AlignedFloats(m_queries.size());

    const EvenSplit heads = EvenSplit::ofAtMost(H + 2 * K, productColumns / d, 1);
    m_runner.run(m_rows.pieces * heads.pieces, [&](std::int64_t task, int slot) {
        const std::int64_t rowBegin = m_rows.begin(task / heads.pieces);
        const std::int64_t rows = m_rows.end(task / heads.pieces) - rowBegin;
        const std::int64_t headBegin = heads.begin(task % heads.pieces);
        const std::int64_t headEnd = heads.end(task % heads.pieces);
        const std::int64_t columns = (headEnd - headBegin) * d;
        float* projected = scratch(slot); // (rows, columns)
        weights.qkv.apply(
            {m_normed.data() + rowBegin * C, rows, C}, headBegin * d, headEnd * d, {projected, rows, columns});
        for (std::int64_t head = headBegin; head < headEnd; ++head)
            scatterHead(head, rowBegin, {projected + (head - headBegin) * d, rows, columns});
        advance(rows, columns, C);
    });
    m_runner.run(K, [&](std::int64_t head, int) {
        m_cache.append(layer, static_cast<int>(head), m_keys.span().subspan(count(head * n * d), count(n * d)),
            m_values.span().subspan(count(head * n * d), count(n * d)), m_positions);
    });
}

/// Moves rows of one projected head, counted through queries, keys and values, to where attention reads them.
void ForwardPass::scatterHead(std::int64_t head, std::int64_t rowBegin, Rows<const float> projected)
{
    const auto& [n, past, C, H, K, d, I, V] = m_shapes;
    const bool isQuery = head < H;
    const bool isValue = head >= H + K;
    float* target = isQuery ? m_queries.data() + head * n * d
        : isValue           ? m_values.data() + (head - H - K) * n * d
                            : m_keys.data() + (head - H) * n * d;
    for (std::int64_t r = 0; r < projected.count; ++r) {
        const std::span<const float> from(projected.data + r * projected.stride, count(d));
        const std::int64_t row = rowBegin + r;
        if (isValue)
            std::copy(from.begin(), from.end(), target + row * d);
        else
            applyRope(from, m_rope->cosines(row), m_rope->sines(row), {target + row * d, count(d)});
        if (isQuery && m_queriesBeforeRope.size() > 0)
            std::copy(from.begin(), from.end(), m_queriesBeforeRope.data() + (head * n + row) * d);
    }
}

/// context = softmax(queries keys^T / sqrt(d)) values, causal, by blocks of query rows.
void ForwardPass::attend(int layer)
{
    const auto& [n, past, C, H, K, d, I, V] = m_shapes;
    if (m_observer != nullptr)
        m_observer->beginLayer(
            {layer, past, n, m_queries.span(), m_keys.span(), m_values.span(), m_queriesBeforeRope.span()});

    // Blocks begin at multiples of blockRows in the cache, late ones go first because they see the most keys.
    const std::int64_t edge = m_options.blockRows;
    const std::int64_t firstBlock = past / edge;
    const std::int64_t blocks = (past + n + edge - 1) / edge - firstBlock;
    m_runner.run(blocks * H, [&](std::int64_t task, int slot) {
        const std::int64_t block = firstBlock + blocks - 1 - task / H;
        attendBlock(layer, task % H, std::max(past, block * edge), std::min(past + n, (block + 1) * edge), slot);
    });

    if (m_observer != nullptr)
        m_observer->endLayer(layer);
}

/// Queries [queryBegin, queryEnd), counted from the start of the cache, of one head.
void ForwardPass::attendBlock(int layer, std::int64_t head, std::int64_t queryBegin, std::int64_t queryEnd, int slot)
{
    const auto& [n, past, C, H, K, d, I, V] = m_shapes;
    const int kvHead = static_cast<int>(head / (H / K));
    const std::int64_t rows = queryEnd - queryBegin;
    const std::int64_t stride = attentionStride(queryEnd);
    const AttentionShape shape{static_cast<float>(1.0 / std::sqrt(static_cast<double>(d))), 0};
    const std::span<const float> queries
        = m_queries.span().subspan(count((head * n + queryBegin - past) * d), count(rows * d));
    const std::span<float> probabilities(scratch(slot), count(rows * stride)); // (rows, stride)
    std::vector<RowStatistics> statistics(count(rows));
    float* context = m_context.data() + (queryBegin - past) * H * d + head * d; // (rows, d), H * d apart

    attention_rows::softmaxRows(
        queries, m_cache.packedKeys(layer, kvHead), queryBegin, rows, shape, probabilities, stride, statistics);
    addWeightedValues(
        {probabilities.data(), rows, stride}, queryBegin, m_cache.values(layer, kvHead), {context, rows, H * d});
    if (m_observer != nullptr)
        m_observer->block(layer, static_cast<int>(head), queryBegin, rows, probabilities, stride, statistics);
    advance(rows, queryEnd, d);
}

/// context (rows, d) = probabilities (rows, keys) values (keys, d). Keys are summed up in pieces that begin at fixed
/// places, so that a row has the same bits whatever block it is computed in; rows before a piece hold only zeros in it.
void ForwardPass::addWeightedValues(
    Rows<const float> probabilities, std::int64_t queryBegin, std::span<const float> values, Rows<float> context)
{
    const std::int64_t d = m_shapes.d;
    const std::int64_t queryEnd = queryBegin + probabilities.count;
    for (std::int64_t row = 0; row < context.count; ++row)
        std::fill_n(context.data + row * context.stride, d, 0.0F);
    for (std::int64_t key = 0; key < queryEnd; key += valueRows) {
        const std::int64_t firstRow = std::max<std::int64_t>(0, key - queryBegin);
        const std::int64_t rows = probabilities.count - firstRow;
        addProduct({probabilities.data + firstRow * probabilities.stride + key, rows, probabilities.stride},
            std::min(valueRows, queryEnd - key), values.data() + key * d, d,
            {context.data + firstRow * context.stride, rows, context.stride});
    }
}

/// activated = silu(normed Wgate^T) * (normed Wup^T).
void ForwardPass::activate(const LayerWeights& weights)
{
    const auto& [n, past, C, H, K, d, I, V] = m_shapes;
    const EvenSplit pieces = EvenSplit::ofAtMost(I, mlpColumns, 16);
    m_runner.run(m_rows.pieces * pieces.pieces, [&](std::int64_t task, int slot) {
        const std::int64_t rowBegin = m_rows.begin(task / pieces.pieces);
        const std::int64_t rows = m_rows.end(task / pieces.pieces) - rowBegin;
        const std::int64_t begin = pieces.begin(task % pieces.pieces);
        const std::int64_t columns = pieces.end(task % pieces.pieces) - begin;
        const Rows<const float> x{m_normed.data() + rowBegin * C, rows, C};
        float* gate = scratch(slot); // (rows, columns)
        float* up = gate + rows * columns; // (rows, columns)
        weights.gate.apply(x, begin, begin + columns, {gate, rows, columns});
        weights.up.apply(x, begin, begin + columns, {up, rows, columns});
        for (std::int64_t row = 0; row < rows; ++row) {
            swiglu({gate + row * columns, count(columns)}, {up + row * columns, count(columns)},
                {m_activated.data() + (rowBegin + row) * I + begin, count(columns)});
        }
        advance(rows, 2 * columns, C);
    });
}

/// hidden += input W^T.
void ForwardPass::addProjected(const AlignedFloats& input, std::int64_t inputs, const Linear& projection)
{
    const std::int64_t width = m_shapes.C;
    const EvenSplit pieces = EvenSplit::ofAtMost(width, residualColumns, 16);
    m_runner.run(m_rows.pieces * pieces.pieces, [&](std::int64_t task, int) {
        const std::int64_t rowBegin = m_rows.begin(task / pieces.pieces);
        const std::int64_t rows = m_rows.end(task / pieces.pieces) - rowBegin;
        const std::int64_t begin = pieces.begin(task % pieces.pieces);
        const std::int64_t end = pieces.end(task % pieces.pieces);
        projection.addTo({input.data() + rowBegin * inputs, rows, inputs}, begin, end,
            {m_hidden.data() + rowBegin * width + begin, rows, width});
        advance(rows, end - begin, inputs);
    });
}

PrefillResult ForwardPass::predict(std::int64_t firstRow)
{
    const auto& [n, past, C, H, K, d, I, V] = m_shapes;
    const std::int64_t predicted = n - firstRow;
    const EvenSplit rowSplit = EvenSplit::ofAtMost(predicted, productRows, 16);
    const std::int64_t pieces = (V + vocabularyPiece - 1) / vocabularyPiece;
    std::vector<NextToken> partial(count(pieces * predicted)); // (pieces, predicted)
    std::vector<float> targetLogits(count(predicted)); // of the token that follows, where there is one

    PrefillResult result;
    result.lastLogits.resize(count(V));
    const Linear& projection = m_weights.logits();
    m_runner.run(rowSplit.pieces * pieces, [&](std::int64_t task, int slot) {
        const std::int64_t rowBegin = firstRow + rowSplit.begin(task / pieces);
        const std::int64_t rows = firstRow + rowSplit.end(task / pieces) - rowBegin;
        const std::int64_t piece = task % pieces;
        const std::int64_t pieceEnd = std::min(V, (piece + 1) * vocabularyPiece);
        for (std::int64_t begin = piece * vocabularyPiece; begin < pieceEnd; begin += logitColumns) {
            const std::int64_t columns = std::min(logitColumns, pieceEnd - begin);
            float* logits = scratch(slot); // (rows, columns)
            projection.apply(
                {m_normed.data() + rowBegin * C, rows, C}, begin, begin + columns, {logits, rows, columns});
            for (std::int64_t r = 0; r < rows; ++r) {
                const std::int64_t row = rowBegin + r;
                const std::span<const float> cells(logits + r * columns, count(columns));
                partial[count(piece * predicted + row - firstRow)].add(cells, static_cast<std::int32_t>(begin));
                if (row + 1 == n) {
                    std::copy(cells.begin(), cells.end(), result.lastLogits.begin() + begin);
                } else if (const std::int64_t target = m_ids[count(row + 1)] - begin; target >= 0 && target < columns) {
                    targetLogits[count(row - firstRow)] = cells[count(target)];
                }
            }
            advance(rows, columns, C);
        }
    });

    for (std::int64_t i = 0; i < predicted; ++i) {
        NextToken next;
        for (std::int64_t piece = 0; piece < pieces; ++piece)
            next.merge(partial[count(piece * predicted + i)]);
        if (!next.finite())
            throw ModelError(fmt::format("model {}: the logits hold infinities or NaN", m_config.name));
        const double logSumExp = next.logSumExp();
        if (firstRow + i + 1 < n)
            result.nll.push_back(static_cast<float>(logSumExp - static_cast<double>(targetLogits[count(i)])));
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
    return static_cast<float>(next.logSumExp() - static_cast<double>(logits[count(id)]));
}

void check(const ModelConfig& config, std::span<const std::int32_t> ids, const KvCache& cache)
{
    if (ids.empty())
        throw ModelError("prompt: found no tokens, expected at least one");
    const std::int64_t end = cache.nextPosition() + std::ssize(ids);
    if (end > config.maxPositions) {
        throw ModelError(fmt::format("prompt: found {} tokens, expected at most {}, the context of model {}", end,
            config.maxPositions, config.name));
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (ids[i] < 0 || ids[i] >= config.vocabSize) {
            throw ModelError(
                fmt::format("token {} of the prompt: found id {}, expected 0 to {}, the vocabulary of model {}", i,
                    ids[i], config.vocabSize - 1, config.name));
        }
    }
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
    auto state = std::make_unique<State>(checkpoint.config(), options.threads);
    state->runner.enter([&] { state->weights = loadWeights(checkpoint, state->runner, options.progress); });
    return std::unique_ptr<Transformer>(new Transformer(std::move(state)));
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
    check(state.config, ids, cache);
    if (options.blockRows < 1)
        throw ModelError(fmt::format("block rows: found {}, expected at least 1", options.blockRows));

    const std::int64_t begin = cache.nextPosition();
    PrefillResult result;
    try {
        state.runner.enter([&] {
            ForwardPass pass(
                state.config, state.inverseFrequencies, state.weights, state.runner, ids, cache, options, observer);
            pass.run();
            result = pass.predict(options.positionLogits ? 0 : std::ssize(ids) - 1);
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
    cache.setNextPosition(begin + std::ssize(ids));
    cache.setLastLogits(result.lastLogits);
    return result;
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
    const Linear& output = m_state->weights.layers.at(static_cast<std::size_t>(layer)).output;
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
            output.applyInputs(
                {vectors, count, dim}, head * dim, dim, {projected.data(), count, std::int64_t{config.hiddenSize}});
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
