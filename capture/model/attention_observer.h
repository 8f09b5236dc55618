// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/layer_vectors.h"
#include "core/recording/row_statistics.h"

#include <cstdint>
#include <span>

namespace kvloupe {

/// Sees the attention of a forward pass as it is computed. Layers come in order; an exception ends the pass.
class AttentionObserver {
public:
    virtual ~AttentionObserver() = default;

    /// Whether LayerVectors::queriesBeforeRope is to be filled for this layer.
    virtual bool wantsQueriesBeforeRope(int /*layer*/) const { return false; }

    /// Before the first block of a layer, while no other call is under way. The tokens are those of one prefill, or the
    /// one of a decoding step; tokenBegin is how many the cache held before. The spans live until endLayer().
    virtual void beginLayer(const LayerVectors& /*vectors*/) { }

    /// Rows [queryBegin, queryBegin + rows) of one head; called from any thread, in any order, several at once.
    ///
    /// `probabilities` is [rows, stride]: columns up to queryBegin + rows, rounded up to 16, may be read and are 0
    /// after each row's own token. `statistics`: [rows]. Both live until the call returns. Blocks of a prefill begin at
    /// multiples of PrefillOptions::blockRows (the first one at tokenBegin).
    virtual void block(int layer, int head, std::int64_t queryBegin, std::int64_t rows,
        std::span<const float> probabilities, std::int64_t stride, std::span<const RowStatistics> statistics)
        = 0;

    /// After the last block of a layer, while no other call is under way.
    virtual void endLayer(int /*layer*/) { }
};

} // namespace kvloupe
