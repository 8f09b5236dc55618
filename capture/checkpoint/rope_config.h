// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/architecture.h"
#include "capture/checkpoint/config_reader.h"
#include "capture/checkpoint/rope_variant.h"

#include <cstdint>
#include <vector>

namespace kvloupe {

/// What config.json says about RoPE, in either form: "rope_parameters" of transformers 5, or "rope_theta" and
/// "rope_scaling" before it (whose kind is "rope_type" or, older still, "type").
struct RopeConfig {
    std::vector<RopeVariant> ropes; ///< the model's; with localRope also that of layers with a window
    std::int64_t maxPositions = 0; ///< to which scaling extends the context
};

/// `headDim` is even and `maxPositions` what max_position_embeddings says.
RopeConfig readRope(
    const ConfigReader& config, const Architecture& architecture, int headDim, std::int64_t maxPositions);

/// The context with scaling: linear and dynamic scaling extend what the configuration says, YaRN extends the original
/// context.
std::int64_t scaledContext(
    const RopeVariant& rope, double factor, std::int64_t originalContext, std::int64_t maxPositions);

} // namespace kvloupe
