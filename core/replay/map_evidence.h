// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/evidence.h"
#include "core/replay/evidence_builder.h"

#include <cstdint>
#include <span>

namespace kvloupe {

/// Attention maps of one layer in memory, from wherever they come.
struct LayerMaps {
    int layer = 0;
    int numLayers = 1;
    int queryHeads = 0;
    int kvHeads = 0;
    std::int64_t tokens = 0;
    std::span<const float> maps; ///< [queryHeads, tokens, tokens], float32, row = query; cells after the diagonal are 0
};

/// Evidence of a layer from its maps: last rows are views into `maps`, which has to outlive them; column sums take one
/// pass over the causal half, heads in parallel.
/// Throws MethodError if `needs` asks for what maps do not hold (norms, queries, keys, values, statistics of queries),
/// or sizes do not agree.
OwnedEvidence evidenceFromMaps(const LayerMaps& maps, const EvidenceNeeds& needs);

} // namespace kvloupe
