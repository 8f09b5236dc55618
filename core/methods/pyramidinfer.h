// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/decode_policy.h"
#include "core/methods/layer_pruner.h"
#include "core/methods/method_registry.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace kvloupe {

/// Share of the context that stays, by layer: d + (1 - d) * (1 + cos(pi * layer / layers)) / 2.
double cosineShare(double decay, int layer, int numLayers);

/// Lets the newest 1 + floor(recent_ratio * T) prompt tokens vote on the rest, the context, and passes the best
/// floor(context * cosineShare) on to the next layer. Yang et al. 2024, arXiv 2405.12532, as its code has it.
class PyramidPruner final : public LayerPruner {
public:
    struct Parameters {
        double recentRatio = 0.2;
        std::optional<double> decay; ///< d; empty = the one that meets the budget best
        std::int64_t minContext = 64; ///< a context of so many tokens is not pruned
        std::int64_t sinks = 4; ///< first tokens of the context that stay
        double distanceWeight = 1.2; ///< of the newest vote; the oldest has 1
        int interval = 1; ///< layers from one pruning to the next
    };

    explicit PyramidPruner(Parameters parameters);

    std::int64_t votingRows(std::int64_t promptTokens) const override;
    double voteWeight(std::int64_t row, std::int64_t rows) const override;
    std::int64_t sinks() const override { return m_parameters.sinks; }
    std::vector<std::int32_t> survivors(std::span<const std::int32_t> entering, std::span<const float> votes,
        const Place& place, const Budget& budget) const override;

    /// Tokens that enter each of the layers.
    std::vector<std::int64_t> lengths(std::int64_t promptTokens, int numLayers, double decay) const;
    /// The parameter, or that of 4,096 steps whose lengths come nearest to the budget on the average without exceeding
    /// it; the smallest average when all do.
    double decayFor(std::int64_t promptTokens, int numLayers, const Budget& budget) const;

private:
    std::int64_t contextAfter(std::int64_t context, const Place& place, double decay) const;

    Parameters m_parameters;
};

/// Cuts the generated tokens block by block: when a block of `block` tokens lies just before the newest 1 + R, its best
/// floor(block * ratio * cosineShare) stay, by the weighted mean attention of these 1 + R queries; R as of the prompt.
/// Memory and time per step: O(R + block).
class BlockCompression final : public DecodePolicy {
public:
    struct Parameters {
        double recentRatio = 0.2;
        double distanceWeight = 1.2;
        double decay = 0.1;
        double ratio = 0.9;
        std::int64_t block = 16;
    };

    explicit BlockCompression(Parameters parameters);

    std::unique_ptr<DecodePolicy> clone() const override;
    Granularity granularity() const override { return Granularity::Layer; }
    DecodeNeeds needs() const override;
    std::vector<std::int32_t> begin(const DecodeStart& start) override;
    DecodeVerdict step(const DecodeStep& step) override;

private:
    Parameters m_parameters;
    std::int64_t m_recent = 0; ///< R
    std::int64_t m_kept = 0; ///< of a block
    std::int64_t m_promptTokens = 0;
    std::int64_t m_begin = 0; ///< position of the first token that was not cut yet
    std::vector<double> m_sums; ///< weighted attention of the tokens from m_begin on
};

MethodInfo pyramidInferMethod();

} // namespace kvloupe
