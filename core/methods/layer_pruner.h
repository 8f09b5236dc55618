// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// For methods that drop tokens on the way through the layers during the prefill (PyramidInfer): which tokens the next
/// layer still sees. A layer caches the tokens that entered it. Decisions are cumulative: layers are asked in order.
class LayerPruner {
public:
    /// Where in the model, and over what prompt.
    struct Place {
        int layer = 0;
        int numLayers = 1;
        std::int64_t promptTokens = 0;
    };

    virtual ~LayerPruner() = default;
    /// How many of the newest prompt queries vote; they are never pruned.
    virtual std::int64_t votingRows(std::int64_t promptTokens) const = 0;
    /// Weight of vote `row` of `rows`, the newest last.
    virtual double voteWeight(std::int64_t row, std::int64_t rows) const = 0;
    /// First tokens of the prompt that are never pruned.
    virtual std::int64_t sinks() const { return 0; }
    /// `entering` are the positions that entered this layer, ascending, `votes` [entering] the attention they received:
    /// sum over the voting rows of weight x mean over all query heads of softmax over `entering`, divided by the rows.
    /// Returns an ascending subset of `entering`, which is what enters the next layer. Without a ratio of its own a
    /// pruner meets `budget` on the average over the layers.
    virtual std::vector<std::int32_t> survivors(std::span<const std::int32_t> entering, std::span<const float> votes,
        const Place& place, const Budget& budget) const = 0;
};

} // namespace kvloupe
