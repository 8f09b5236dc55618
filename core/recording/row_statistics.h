// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace kvloupe {

/// What one query's attention is like. The softmax pass gives all four for a few instructions per cell.
struct RowStatistics {
    float logSumExp = 0.0F; ///< of the scaled logits
    float entropy = 0.0F; ///< nats
    float sinkMass = 0.0F; ///< probability on the first 4 keys
    float maximum = 0.0F; ///< largest probability
};

} // namespace kvloupe
