// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/evidence.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace kvloupe {

/// For methods that drop tokens on the way through the layers during the prefill (PyramidInfer): which tokens the next layer
/// still sees. `entering` are the positions that entered this layer; `evidence` is over these tokens only. Returns an
/// ascending subset of `entering`. Decisions are cumulative: layers are asked in order.
class LayerPruner {
public:
    virtual ~LayerPruner() = default;
    virtual EvidenceNeeds needs() const = 0;
    virtual std::vector<std::int32_t> survivors(std::span<const std::int32_t> entering, const LayerEvidence& evidence) const = 0;
};

} // namespace kvloupe
