// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"
#include "capture/model/model_weights.h"
#include "capture/model/next_token.h"
#include "capture/model/pass_attention.h"
#include "capture/model/rope.h"
#include "capture/model/task_runner.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace kvloupe {

/// Row i is token ids[i] at positions[i] of a text that has textTokens[i] tokens so far.
struct PassRows {
    std::span<const std::int32_t> ids;
    std::span<const std::int64_t> positions; ///< what RoPE turns the row by
    std::span<const std::int64_t> textTokens; ///< what scaled frequencies of RoPE depend on
};

/// Rows of tokens through all layers of a model: the arithmetic of a layer exists here and nowhere else; how rows see
/// each other is the PassAttention's business. Runs inside TaskRunner::enter().
///
/// Errors: ModelError when infinities appear, Cancelled.
class ForwardPass {
public:
    struct Model {
        const ModelConfig& config;
        const ModelWeights& weights;
    };

    /// All but `rows` outlive this object, and so do the ids. `predictedRows` counts into the progress.
    ForwardPass(const Model& model, TaskRunner& runner, PassAttention& attention, const PassRows& rows,
        std::int64_t predictedRows, std::function<bool(double)> progress);

    void run();
    /// Rows that went through all layers.
    std::int64_t rows() const { return m_shapes.n; }

    /// What is predicted after rows [firstRow, n), the whole logits only of the last.
    struct Predictions {
        std::vector<NextToken> next; ///< [n - firstRow]
        std::vector<float> targetLogits; ///< [n - firstRow] of the id of the row that follows; 0 for the last
        std::vector<float> lastLogits; ///< [vocab]
    };
    Predictions predict(std::int64_t firstRow);
    /// Logits after rows [firstRow, n): `out` [n - firstRow, vocab].
    void logits(std::int64_t firstRow, std::span<float> out);

    void finish() { m_meter.finish(); }

private:
    /// Shapes of the pass, in the letters of the comments below.
    struct Shapes {
        std::int64_t n = 0; // rows
        std::int64_t C = 0; // hidden
        std::int64_t H = 0; // query heads
        std::int64_t K = 0; // key and value heads
        std::int64_t d = 0; // head_dim
        std::int64_t I = 0; // intermediate
        std::int64_t V = 0; // vocabulary
    };

    std::int64_t productFloats() const;
    std::int64_t weightFloats() const;
    double totalWork(std::int64_t predictedRows) const;
    void advance(std::int64_t rows, std::int64_t columns, std::int64_t inner);

    /// body(column, rows, slot) in parallel for all pieces of the outputs of a Linear and all pieces of rows. Resident
    /// weights are shared out by rows too; a streamed piece is read once for all rows.
    struct PieceRange {
        std::int64_t begin = 0;
        std::int64_t end = 0;
    };
    void eachPiece(const Linear& linear, std::int64_t rowPieces, std::int64_t columnPieces,
        const std::function<void(std::int64_t column, PieceRange rows, int slot)>& body);
    /// Outputs that one task computes: `usual`, or fewer where streamed weights meet a row or two and should stay in
    /// the cache between being dequantised and multiplied.
    std::int64_t pieceOutputs(const Linear& linear, std::int64_t usual) const;
    std::span<float> products(int slot) { return m_workspace.scratch(slot).first(m_productFloats); }
    std::span<float> weightScratch(int slot) { return m_workspace.scratch(slot).subspan(m_productFloats); }

    void buildRope();
    void embed();
    void normalise(const std::vector<float>& gain, int layer);
    void projectQkv(const LayerWeights& weights, int layer);
    void scatterHead(
        const LayerWeights& weights, int layer, std::int64_t head, std::int64_t rowBegin, Rows<const float> projected);
    void attend(int layer);
    void keepRows(std::span<const std::int64_t> rows);
    void activate(const LayerWeights& weights);
    void addProjected(const AlignedFloats& input, const Linear& projection, const std::vector<float>& outputNorm);

    Model m_model;
    TaskRunner& m_runner;
    PassAttention& m_attention;
    std::span<const std::int32_t> m_ids;
    Shapes m_shapes;
    std::vector<std::int64_t> m_positions; // (n)
    std::vector<std::int64_t> m_textTokens; // (n)
    std::size_t m_productFloats; // of each thread's scratch; the rest is for streamed weights
    EvenSplit m_rows;
    WorkMeter m_meter;
    PassWorkspace m_workspace;
    std::vector<RopeTable> m_ropes; // per variant: (n, d / 2)
    AlignedFloats m_hidden; // (n, C), the residual stream
    AlignedFloats m_normed; // (n, C)
    AlignedFloats m_queries; // (H, n, d)
    AlignedFloats m_queriesBeforeRope; // (H, n, d) or empty
    AlignedFloats m_keys; // (K, n, d)
    AlignedFloats m_values; // (K, n, d)
    AlignedFloats m_context; // (n, H * d)
    AlignedFloats m_activated; // (n, I)
};

} // namespace kvloupe
