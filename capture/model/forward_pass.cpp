// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/forward_pass.h"

#include "capture/model/model_error.h"
#include "capture/model/rms_norm.h"
#include "capture/model/swiglu.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <utility>

namespace kvloupe {

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
constexpr std::int64_t normRows = 64;

std::size_t count(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// Rows of `width` floats that `kept` names, moved to the front.
void moveToFront(float* rows, std::int64_t width, std::span<const std::int64_t> kept)
{
    for (std::size_t to = 0; to < kept.size(); ++to)
        if (kept[to] != static_cast<std::int64_t>(to))
            std::copy_n(rows + kept[to] * width, width, rows + static_cast<std::int64_t>(to) * width);
}

} // namespace

PassWorkspace::PassWorkspace(TaskRunner& taskRunner, WorkMeter& workMeter, std::int64_t scratchFloats)
    : m_runner(taskRunner)
    , m_meter(workMeter)
{
    for (int slot = 0; slot < taskRunner.slots(); ++slot)
        m_scratch.emplace_back(count(scratchFloats));
}

ForwardPass::ForwardPass(const Model& model, TaskRunner& runner, PassAttention& attention,
    std::span<const std::int32_t> ids, std::vector<std::int64_t> positions, std::int64_t predictedRows,
    std::function<bool(double)> progress)
    : m_model(model)
    , m_runner(runner)
    , m_attention(attention)
    , m_ids(ids)
    , m_shapes{std::ssize(ids), model.config.hiddenSize, model.config.numHeads, model.config.numKvHeads,
          model.config.headDim, model.config.intermediateSize, model.config.vocabSize}
    , m_positions(std::move(positions))
    , m_rows(EvenSplit::ofAtMost(std::ssize(ids), productRows, 16))
    , m_meter(std::move(progress), totalWork(predictedRows))
    , m_workspace(runner, m_meter, scratchFloats())
    , m_hidden(count(m_shapes.n * m_shapes.C))
    , m_normed(count(m_shapes.n * m_shapes.C))
    , m_queries(count(m_shapes.n * m_shapes.H * m_shapes.d))
    , m_keys(count(m_shapes.n * m_shapes.K * m_shapes.d))
    , m_values(count(m_shapes.n * m_shapes.K * m_shapes.d))
    , m_context(count(m_shapes.n * m_shapes.H * m_shapes.d))
    , m_activated(count(m_shapes.n * m_shapes.I))
{
    m_rope.emplace(m_model.inverseFrequencies, m_positions);
}

void ForwardPass::run()
{
    embed(); // hidden (n, C)
    for (int layer = 0; layer < m_model.config.numLayers; ++layer) {
        const LayerWeights& weights = m_model.weights.layers[count(layer)];
        normalise(weights.attentionNorm, layer); // normed (n, C)
        projectQkv(weights, layer); // queries (H, n, d), keys and values (K, n, d)
        attend(layer); // context (n, H * d)
        addProjected(m_context, m_shapes.H * m_shapes.d, weights.output); // hidden += context Wo^T
        normalise(weights.mlpNorm, layer); // normed (n, C)
        activate(weights); // activated (n, I)
        addProjected(m_activated, m_shapes.I, weights.down); // hidden += activated Wd^T
    }
    normalise(m_model.weights.finalNorm, m_model.config.numLayers); // normed (n, C)
}

std::int64_t ForwardPass::scratchFloats() const
{
    const auto& [n, C, H, K, d, I, V] = m_shapes;
    const std::int64_t product = std::min(n, productRows) * std::max({productColumns, d, 2 * mlpColumns, logitColumns});
    return std::max(product, m_attention.scratchFloats(n));
}

double ForwardPass::totalWork(std::int64_t predictedRows) const
{
    const auto& [n, C, H, K, d, I, V] = m_shapes;
    return static_cast<double>(n) * static_cast<double>((2 * H + 2 * K) * d * C + 3 * I * C) * m_model.config.numLayers
        + m_attention.work(n) + static_cast<double>(C * V) * static_cast<double>(predictedRows);
}

void ForwardPass::advance(std::int64_t rows, std::int64_t columns, std::int64_t inner)
{
    m_meter.advance(static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(inner));
}

void ForwardPass::embed()
{
    float* row = m_hidden.data();
    for (const std::int32_t id : m_ids) {
        const std::span<const float> embedding = m_model.weights.embedding.weightRow(id);
        row = std::copy(embedding.begin(), embedding.end(), row);
    }
}

/// normed = rmsNorm(hidden); `layer` is where a breakdown is said to have been.
void ForwardPass::normalise(const std::vector<float>& gain, int layer)
{
    const auto& [n, C, H, K, d, I, V] = m_shapes;
    std::atomic<bool> broken = false;
    m_runner.run((n + normRows - 1) / normRows, [&](std::int64_t task, int) {
        for (std::int64_t row = task * normRows; row < std::min(n, (task + 1) * normRows); ++row) {
            const std::span<const float> x = m_hidden.span().subspan(count(row * C), count(C));
            if (!rmsNorm(x, gain, m_model.config.rmsNormEps, m_normed.span().subspan(count(row * C), count(C))))
                broken = true;
        }
    });
    if (broken) {
        throw ModelError(fmt::format("model {}: the forward pass gives infinities or NaN, first seen {} layer {}",
            m_model.config.name, layer < m_model.config.numLayers ? "in" : "after",
            std::min(layer, m_model.config.numLayers - 1)));
    }
}

/// queries, keys, values = rope(normed Wqkv^T), head by head.
void ForwardPass::projectQkv(const LayerWeights& weights, int layer)
{
    const auto& [n, C, H, K, d, I, V] = m_shapes;
    const bool beforeRope = m_attention.wantsQueriesBeforeRope(layer);
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
        float* projected = m_workspace.scratch(slot).data(); // (rows, columns)
        weights.qkv.apply(
            {m_normed.data() + rowBegin * C, rows, C}, headBegin * d, headEnd * d, {projected, rows, columns});
        for (std::int64_t head = headBegin; head < headEnd; ++head)
            scatterHead(head, rowBegin, {projected + (head - headBegin) * d, rows, columns});
        advance(rows, columns, C);
    });
}

/// Moves rows of one projected head, counted through queries, keys and values, to where attention reads them.
void ForwardPass::scatterHead(std::int64_t head, std::int64_t rowBegin, Rows<const float> projected)
{
    const auto& [n, C, H, K, d, I, V] = m_shapes;
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

void ForwardPass::attend(int layer)
{
    const auto& [n, C, H, K, d, I, V] = m_shapes;
    m_attention.attend({layer, n, m_positions, m_queries.span().first(count(H * n * d)),
                           m_queriesBeforeRope.span().first(std::min(m_queriesBeforeRope.size(), count(H * n * d))),
                           m_keys.span().first(count(K * n * d)), m_values.span().first(count(K * n * d)),
                           m_context.span().first(count(n * H * d))},
        m_workspace);
    if (const std::vector<std::int64_t> kept = m_attention.survivors(layer); !kept.empty())
        keepRows(kept);
}

/// Goes on with `rows` alone. What a layer does after its attention, it does row by row.
void ForwardPass::keepRows(std::span<const std::int64_t> rows)
{
    moveToFront(m_hidden.data(), m_shapes.C, rows);
    moveToFront(m_context.data(), m_shapes.H * m_shapes.d, rows);
    for (std::size_t to = 0; to < rows.size(); ++to)
        m_positions[to] = m_positions[count(rows[to])];
    m_positions.resize(rows.size());
    m_rope.emplace(m_model.inverseFrequencies, m_positions);
    m_shapes.n = std::ssize(rows);
    m_rows = EvenSplit::ofAtMost(m_shapes.n, productRows, 16);
}

/// activated = silu(normed Wgate^T) * (normed Wup^T).
void ForwardPass::activate(const LayerWeights& weights)
{
    const auto& [n, C, H, K, d, I, V] = m_shapes;
    const EvenSplit pieces = EvenSplit::ofAtMost(I, mlpColumns, 16);
    m_runner.run(m_rows.pieces * pieces.pieces, [&](std::int64_t task, int slot) {
        const std::int64_t rowBegin = m_rows.begin(task / pieces.pieces);
        const std::int64_t rows = m_rows.end(task / pieces.pieces) - rowBegin;
        const std::int64_t begin = pieces.begin(task % pieces.pieces);
        const std::int64_t columns = pieces.end(task % pieces.pieces) - begin;
        const Rows<const float> x{m_normed.data() + rowBegin * C, rows, C};
        float* gate = m_workspace.scratch(slot).data(); // (rows, columns)
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

ForwardPass::Predictions ForwardPass::predict(std::int64_t firstRow)
{
    const auto& [n, C, H, K, d, I, V] = m_shapes;
    const std::int64_t predicted = n - firstRow;
    const EvenSplit rowSplit = EvenSplit::ofAtMost(predicted, productRows, 16);
    const std::int64_t pieces = (V + vocabularyPiece - 1) / vocabularyPiece;
    std::vector<NextToken> partial(count(pieces * predicted)); // (pieces, predicted)
    Predictions result{
        std::vector<NextToken>(count(predicted)), std::vector<float>(count(predicted)), std::vector<float>(count(V))};
    const Linear& projection = m_model.weights.logits();
    m_runner.run(rowSplit.pieces * pieces, [&](std::int64_t task, int slot) {
        const std::int64_t rowBegin = firstRow + rowSplit.begin(task / pieces);
        const std::int64_t rows = firstRow + rowSplit.end(task / pieces) - rowBegin;
        const std::int64_t piece = task % pieces;
        const std::int64_t pieceEnd = std::min(V, (piece + 1) * vocabularyPiece);
        for (std::int64_t begin = piece * vocabularyPiece; begin < pieceEnd; begin += logitColumns) {
            const std::int64_t columns = std::min(logitColumns, pieceEnd - begin);
            float* logits = m_workspace.scratch(slot).data(); // (rows, columns)
            projection.apply(
                {m_normed.data() + rowBegin * C, rows, C}, begin, begin + columns, {logits, rows, columns});
            for (std::int64_t r = 0; r < rows; ++r) {
                const std::int64_t row = rowBegin + r;
                const std::span<const float> cells(logits + r * columns, count(columns));
                partial[count(piece * predicted + row - firstRow)].add(cells, static_cast<std::int32_t>(begin));
                if (row + 1 == n) {
                    std::copy(cells.begin(), cells.end(), result.lastLogits.begin() + begin);
                } else if (const std::int64_t target = m_ids[count(row + 1)] - begin; target >= 0 && target < columns) {
                    result.targetLogits[count(row - firstRow)] = cells[count(target)];
                }
            }
            advance(rows, columns, C);
        }
    });

    for (std::int64_t i = 0; i < predicted; ++i) {
        NextToken& next = result.next[count(i)];
        for (std::int64_t piece = 0; piece < pieces; ++piece)
            next.merge(partial[count(piece * predicted + i)]);
        if (!next.finite())
            throw ModelError(fmt::format("model {}: the logits hold infinities or NaN", m_model.config.name));
    }
    return result;
}

void ForwardPass::logits(std::int64_t firstRow, std::span<float> out)
{
    const auto& [n, C, H, K, d, I, V] = m_shapes;
    const Linear& projection = m_model.weights.logits();
    const EvenSplit rowSplit = EvenSplit::ofAtMost(n - firstRow, productRows, 16);
    const std::int64_t pieces = (V + logitColumns - 1) / logitColumns;
    m_runner.run(rowSplit.pieces * pieces, [&](std::int64_t task, int) {
        const std::int64_t rowBegin = rowSplit.begin(task / pieces);
        const std::int64_t rows = rowSplit.end(task / pieces) - rowBegin;
        const std::int64_t begin = task % pieces * logitColumns;
        const std::int64_t end = std::min(V, begin + logitColumns);
        projection.apply({m_normed.data() + (firstRow + rowBegin) * C, rows, C}, begin, end,
            {out.data() + rowBegin * V + begin, rows, V});
        advance(rows, end - begin, C);
    });
}

} // namespace kvloupe
