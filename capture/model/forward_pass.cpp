// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/forward_pass.h"

#include "capture/model/geglu.h"
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

ForwardPass::ForwardPass(const Model& model, TaskRunner& runner, PassAttention& attention, const PassRows& rows,
    std::int64_t predictedRows, std::function<bool(double)> progress)
    : m_model(model)
    , m_runner(runner)
    , m_attention(attention)
    , m_ids(rows.ids)
    , m_shapes{std::ssize(rows.ids), model.config.hiddenSize, model.config.numHeads, model.config.numKvHeads,
          model.config.headDim, model.config.intermediateSize, model.config.vocabSize}
    , m_positions(rows.positions.begin(), rows.positions.end())
    , m_textTokens(rows.textTokens.begin(), rows.textTokens.end())
    , m_productFloats(count(productFloats()))
    , m_rows(EvenSplit::ofAtMost(m_shapes.n, productRows, 16))
    , m_meter(std::move(progress), totalWork(predictedRows))
    , m_workspace(runner, m_meter, productFloats() + weightFloats())
    , m_hidden(count(m_shapes.n * m_shapes.C))
    , m_normed(count(m_shapes.n * m_shapes.C))
    , m_queries(count(m_shapes.n * m_shapes.H * m_shapes.d))
    , m_keys(count(m_shapes.n * m_shapes.K * m_shapes.d))
    , m_values(count(m_shapes.n * m_shapes.K * m_shapes.d))
    , m_context(count(m_shapes.n * m_shapes.H * m_shapes.d))
    , m_activated(count(m_shapes.n * m_shapes.I))
{
    buildRope();
}

void ForwardPass::run()
{
    embed(); // hidden (n, C)
    for (int layer = 0; layer < m_model.config.numLayers; ++layer) {
        const LayerWeights& weights = m_model.weights.layers[count(layer)];
        m_model.weights.prefetch(layer + 1);
        normalise(weights.attentionNorm, layer); // normed (n, C)
        projectQkv(weights, layer); // queries (H, n, d), keys and values (K, n, d)
        attend(layer); // context (n, H * d)
        addProjected(m_context, weights.output, weights.attentionOutputNorm); // hidden += context Wo^T
        normalise(weights.mlpNorm, layer); // normed (n, C)
        activate(weights); // activated (n, I)
        addProjected(m_activated, weights.down, weights.mlpOutputNorm); // hidden += activated Wd^T
    }
    normalise(m_model.weights.finalNorm, m_model.config.numLayers); // normed (n, C)
}

/// Scratch of one thread for results of products, or for attention.
std::int64_t ForwardPass::productFloats() const
{
    const auto& [n, C, H, K, d, I, V] = m_shapes;
    const std::int64_t product = std::min(n, productRows) * std::max({productColumns, d, 2 * mlpColumns, logitColumns});
    return (std::max(product, m_attention.scratchFloats(n)) + 15) / 16 * 16;
}

/// Scratch of one thread for streamed weights.
std::int64_t ForwardPass::weightFloats() const
{
    const ModelWeights& weights = m_model.weights;
    const auto& [n, C, H, K, d, I, V] = m_shapes;
    std::int64_t most = weights.logits().scratchFloats(std::min(logitColumns, V));
    for (const LayerWeights& layer : weights.layers) {
        most = std::max({most, layer.qkv.scratchFloats(std::max(productColumns, d)),
            layer.output.scratchFloats(std::min(residualColumns, C)),
            2 * layer.gate.scratchFloats(std::min(mlpColumns, I)),
            layer.down.scratchFloats(std::min(residualColumns, C))});
    }
    return most;
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

void ForwardPass::eachPiece(const Linear& linear, std::int64_t rowPieces, std::int64_t columnPieces,
    const std::function<void(std::int64_t column, PieceRange rows, int slot)>& body)
{
    if (linear.isStreamed()) {
        m_runner.run(columnPieces, [&](std::int64_t task, int slot) { body(task, {0, rowPieces}, slot); });
        linear.release();
        return;
    }
    m_runner.run(rowPieces * columnPieces, [&](std::int64_t task, int slot) {
        const std::int64_t row = task / columnPieces;
        body(task % columnPieces, {row, row + 1}, slot);
    });
}

std::int64_t ForwardPass::pieceOutputs(const Linear& linear, std::int64_t usual) const
{
    constexpr std::int64_t fewRows = 4;
    constexpr std::int64_t cachedFloats = std::int64_t{1} << 16; // a quarter of a second-level cache of 1 MiB
    if (!linear.isStreamed() || m_shapes.n > fewRows)
        return usual;
    return std::clamp<std::int64_t>(cachedFloats / linear.inputs() / 16 * 16, 16, usual);
}

void ForwardPass::buildRope()
{
    m_ropes.clear();
    for (const RopeVariant& rope : m_model.config.ropes)
        m_ropes.emplace_back(rope, m_positions, m_textTokens);
}

void ForwardPass::embed()
{
    const std::int64_t width = m_shapes.C;
    const auto scale = static_cast<float>(m_model.config.embeddingScale);
    m_runner.run(m_rows.pieces, [&](std::int64_t piece, int) {
        for (std::int64_t row = m_rows.begin(piece); row < m_rows.end(piece); ++row) {
            const std::span<float> hidden = m_hidden.span().subspan(count(row * width), count(width));
            m_model.weights.embedding.readRow(m_ids[count(row)], hidden);
            if (scale != 1.0F)
                for (float& value : hidden)
                    value *= scale;
        }
    });
    m_model.weights.embedding.release();
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

    const EvenSplit heads = EvenSplit::ofAtMost(H + 2 * K, pieceOutputs(weights.qkv, productColumns) / d, 1);
    eachPiece(weights.qkv, m_rows.pieces, heads.pieces, [&](std::int64_t piece, PieceRange rowPieces, int slot) {
        const std::int64_t headBegin = heads.begin(piece);
        const std::int64_t headEnd = heads.end(piece);
        const std::int64_t columns = (headEnd - headBegin) * d;
        const LinearPiece product = weights.qkv.piece(headBegin * d, headEnd * d, weightScratch(slot));
        float* projected = products(slot).data(); // (rows, columns)
        for (std::int64_t rowPiece = rowPieces.begin; rowPiece < rowPieces.end; ++rowPiece) {
            const std::int64_t rowBegin = m_rows.begin(rowPiece);
            const std::int64_t rows = m_rows.end(rowPiece) - rowBegin;
            product.apply({m_normed.data() + rowBegin * C, rows, C}, {projected, rows, columns});
            for (std::int64_t head = headBegin; head < headEnd; ++head)
                scatterHead(weights, layer, head, rowBegin, {projected + (head - headBegin) * d, rows, columns});
            advance(rows, columns, C);
        }
    });
}

/// Moves rows of one projected head, counted through queries, keys and values, to where attention reads them.
void ForwardPass::scatterHead(
    const LayerWeights& weights, int layer, std::int64_t head, std::int64_t rowBegin, Rows<const float> projected)
{
    const auto& [n, C, H, K, d, I, V] = m_shapes;
    const bool isQuery = head < H;
    const bool isValue = head >= H + K;
    float* target = isQuery ? m_queries.data() + head * n * d
        : isValue           ? m_values.data() + (head - H - K) * n * d
                            : m_keys.data() + (head - H) * n * d;
    const RopeTable& rope = m_ropes[count(m_model.config.layers[count(layer)].rope)];
    const std::span<const float> gain = isQuery ? weights.queryNorm : weights.keyNorm;
    std::vector<float> normed(isValue ? 0 : gain.size());
    for (std::int64_t r = 0; r < projected.count; ++r) {
        std::span<const float> from(projected.data + r * projected.stride, count(d));
        const std::int64_t row = rowBegin + r;
        if (isValue) {
            std::copy(from.begin(), from.end(), target + row * d);
            continue;
        }
        if (!normed.empty()) {
            rmsNorm(from, gain, m_model.config.rmsNormEps, normed);
            from = normed;
        }
        applyRope(from, rope.cosines(row), rope.sines(row), {target + row * d, count(d)});
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
    for (std::size_t to = 0; to < rows.size(); ++to) {
        m_positions[to] = m_positions[count(rows[to])];
        m_textTokens[to] = m_textTokens[count(rows[to])];
    }
    m_positions.resize(rows.size());
    m_textTokens.resize(rows.size());
    buildRope();
    m_shapes.n = std::ssize(rows);
    m_rows = EvenSplit::ofAtMost(m_shapes.n, productRows, 16);
}

/// activated = activation(normed Wgate^T) * (normed Wup^T).
void ForwardPass::activate(const LayerWeights& weights)
{
    const auto& [n, C, H, K, d, I, V] = m_shapes;
    const auto gated = m_model.config.activation == Activation::Silu ? swiglu : geglu;
    const EvenSplit pieces = EvenSplit::ofAtMost(I, pieceOutputs(weights.gate, mlpColumns), 16);
    eachPiece(weights.gate, m_rows.pieces, pieces.pieces, [&](std::int64_t piece, PieceRange rowPieces, int slot) {
        const std::int64_t begin = pieces.begin(piece);
        const std::int64_t end = pieces.end(piece);
        const std::int64_t columns = end - begin;
        const std::span<float> scratch = weightScratch(slot);
        const LinearPiece gateProduct = weights.gate.piece(begin, end, scratch);
        const LinearPiece upProduct
            = weights.up.piece(begin, end, scratch.subspan(count(weights.gate.scratchFloats(columns))));
        for (std::int64_t rowPiece = rowPieces.begin; rowPiece < rowPieces.end; ++rowPiece) {
            const std::int64_t rowBegin = m_rows.begin(rowPiece);
            const std::int64_t rows = m_rows.end(rowPiece) - rowBegin;
            const Rows<const float> x{m_normed.data() + rowBegin * C, rows, C};
            float* gate = products(slot).data(); // (rows, columns)
            float* up = gate + rows * columns; // (rows, columns)
            gateProduct.apply(x, {gate, rows, columns});
            upProduct.apply(x, {up, rows, columns});
            for (std::int64_t row = 0; row < rows; ++row) {
                gated({gate + row * columns, count(columns)}, {up + row * columns, count(columns)},
                    {m_activated.data() + (rowBegin + row) * I + begin, count(columns)});
            }
            advance(rows, 2 * columns, C);
        }
    });
    weights.up.release();
}

/// hidden += input W^T, which is normalised before where the architecture has a norm for it.
void ForwardPass::addProjected(
    const AlignedFloats& input, const Linear& projection, const std::vector<float>& outputNorm)
{
    const std::int64_t width = m_shapes.C;
    const std::int64_t inputs = projection.inputs();
    const bool normed = !outputNorm.empty();
    const EvenSplit pieces = EvenSplit::ofAtMost(width, pieceOutputs(projection, residualColumns), 16);
    eachPiece(projection, m_rows.pieces, pieces.pieces, [&](std::int64_t piece, PieceRange rowPieces, int slot) {
        const std::int64_t begin = pieces.begin(piece);
        const std::int64_t end = pieces.end(piece);
        const LinearPiece product = projection.piece(begin, end, weightScratch(slot));
        for (std::int64_t rowPiece = rowPieces.begin; rowPiece < rowPieces.end; ++rowPiece) {
            const std::int64_t rowBegin = m_rows.begin(rowPiece);
            const std::int64_t rows = m_rows.end(rowPiece) - rowBegin;
            const Rows<const float> x{input.data() + rowBegin * inputs, rows, inputs};
            if (normed)
                product.apply(x, {m_normed.data() + rowBegin * width + begin, rows, width});
            else
                product.addTo(x, {m_hidden.data() + rowBegin * width + begin, rows, width});
            advance(rows, end - begin, inputs);
        }
    });
    if (!normed)
        return;
    m_runner.run((m_shapes.n + normRows - 1) / normRows, [&](std::int64_t task, int) {
        for (std::int64_t row = task * normRows; row < std::min(m_shapes.n, (task + 1) * normRows); ++row) {
            const std::span<float> given = m_normed.span().subspan(count(row * width), count(width));
            rmsNorm(given, outputNorm, m_model.config.rmsNormEps, given);
            for (std::int64_t i = 0; i < width; ++i)
                m_hidden.data()[row * width + i] += given[count(i)];
        }
    });
}

ForwardPass::Predictions ForwardPass::predict(std::int64_t firstRow)
{
    const auto& [n, C, H, K, d, I, V] = m_shapes;
    const std::int64_t predicted = n - firstRow;
    const EvenSplit rowSplit = EvenSplit::ofAtMost(predicted, productRows, 16);
    const std::int64_t pieces = (V + vocabularyPiece - 1) / vocabularyPiece;
    const std::int64_t outputs = pieceOutputs(m_model.weights.logits(), logitColumns);
    std::vector<NextToken> partial(count(pieces * predicted)); // (pieces, predicted)
    Predictions result{
        std::vector<NextToken>(count(predicted)), std::vector<float>(count(predicted)), std::vector<float>(count(V))};
    const Linear& projection = m_model.weights.logits();
    eachPiece(projection, rowSplit.pieces, pieces, [&](std::int64_t piece, PieceRange rowPieces, int slot) {
        const std::int64_t pieceEnd = std::min(V, (piece + 1) * vocabularyPiece);
        for (std::int64_t begin = piece * vocabularyPiece; begin < pieceEnd; begin += outputs) {
            const std::int64_t columns = std::min(outputs, pieceEnd - begin);
            const LinearPiece product = projection.piece(begin, begin + columns, weightScratch(slot));
            for (std::int64_t rowPiece = rowPieces.begin; rowPiece < rowPieces.end; ++rowPiece) {
                const std::int64_t rowBegin = firstRow + rowSplit.begin(rowPiece);
                const std::int64_t rows = firstRow + rowSplit.end(rowPiece) - rowBegin;
                float* logits = products(slot).data(); // (rows, columns)
                product.apply({m_normed.data() + rowBegin * C, rows, C}, {logits, rows, columns});
                for (std::int64_t r = 0; r < rows; ++r) {
                    const std::int64_t row = rowBegin + r;
                    const std::span<const float> cells(logits + r * columns, count(columns));
                    partial[count(piece * predicted + row - firstRow)].add(cells, static_cast<std::int32_t>(begin));
                    if (row + 1 == n) {
                        std::copy(cells.begin(), cells.end(), result.lastLogits.begin() + begin);
                    } else if (const std::int64_t target = m_ids[count(row + 1)] - begin;
                               target >= 0 && target < columns) {
                        result.targetLogits[count(row - firstRow)] = cells[count(target)];
                    }
                }
                advance(rows, columns, C);
            }
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
    const std::int64_t outputs = pieceOutputs(projection, logitColumns);
    const std::int64_t pieces = (V + outputs - 1) / outputs;
    eachPiece(projection, rowSplit.pieces, pieces, [&](std::int64_t piece, PieceRange rowPieces, int slot) {
        const std::int64_t begin = piece * outputs;
        const std::int64_t end = std::min(V, begin + outputs);
        const LinearPiece product = projection.piece(begin, end, weightScratch(slot));
        for (std::int64_t rowPiece = rowPieces.begin; rowPiece < rowPieces.end; ++rowPiece) {
            const std::int64_t rowBegin = rowSplit.begin(rowPiece);
            const std::int64_t rows = rowSplit.end(rowPiece) - rowBegin;
            product.apply(
                {m_normed.data() + (firstRow + rowBegin) * C, rows, C}, {out.data() + rowBegin * V + begin, rows, V});
            advance(rows, end - begin, C);
        }
    });
}

} // namespace kvloupe
