// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/methods/evidence.h"
#include "core/prompt/prompt_layout.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// For methods that drop tokens on the way through the layers during the prefill (PyramidInfer): which tokens the next
/// layer still sees. Decisions are cumulative: layers are asked in order.
class LayerPruner {
public:
    virtual ~LayerPruner() = default;
    virtual EvidenceNeeds needs(const PromptLayout& layout) const = 0;
    /// `entering` are the positions that entered this layer, `evidence` is over these tokens only. Returns an ascending
    /// subset of `entering`. A pruner that has no ratio of its own meets `budget` on the average over the layers.
    virtual std::vector<std::int32_t> survivors(std::span<const std::int32_t> entering, const LayerEvidence& evidence,
        const Budget& budget, const PromptLayout& layout) const = 0;
};

} // namespace kvloupe
