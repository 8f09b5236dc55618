// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/adapter/adapter.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

class Transformer;

/// A text whose tokens from `answerBegin` on are to be predicted; answerBegin is 1 .. ids.size() - 1.
struct TrainingSequence {
    std::span<const std::int32_t> ids;
    std::int64_t answerBegin = 0;
    double weight = 1.0; ///< of each of its answer tokens in the loss
};

/// The forward pass of a loaded Transformer once more, differentiable (LibTorch's autograd), with a LoRA pair on each
/// of the seven projections of every layer. The frozen weights are those of the Transformer, not a copy; the LoRA pairs
/// are all there is to learn.
///
/// All parameters are one array: layer by layer, of q, k, v, o, gate, up and down first A [rank, inputs], then B
/// [outputs, rank]. Memory of a gradient: about 8 x hidden + 4 x intermediate + heads x (tokens of its text) floats per
/// token and layer, and 3 x vocabulary floats per answer token.
class LoraModel {
public:
    /// A is uniform in +-1 / sqrt(inputs), a hash of `seed` and its place; B is 0 (so that nothing is changed at
    /// first). `model` outlives this object.
    LoraModel(const Transformer& model, std::int64_t rank, double alpha, std::uint64_t seed);

    std::span<float> parameters() { return m_parameters; }
    std::span<const float> parameters() const { return m_parameters; }
    std::int64_t rank() const { return m_rank; }
    double alpha() const { return m_alpha; }

    struct Gradient {
        double loss = 0.0; ///< sum over answer tokens of weight x negative log likelihood, nats
        double nll = 0.0; ///< the same without weights
        std::vector<float> values; ///< of `loss`, like parameters()
    };
    /// The texts go through the products together and do not see each other. Thread-safe, one thread each.
    Gradient gradient(std::span<const TrainingSequence> sequences) const;

    /// Logits [n, vocab] after every token of a text.
    std::vector<float> logits(std::span<const std::int32_t> ids) const;

    /// The pairs as they are now, modules ordered by name.
    AdapterWeights weights() const;

private:
    struct Pair {
        std::string module; // "self_attn.q_proj"
        std::int64_t outputs = 0;
        std::int64_t inputs = 0;
        std::int64_t size(std::int64_t rank) const { return rank * (outputs + inputs); }
    };
    class Pass;

    const Transformer& m_model;
    std::int64_t m_rank;
    double m_alpha;
    std::vector<Pair> m_pairs; // the seven of a layer
    std::vector<float> m_parameters;
};

} // namespace kvloupe
