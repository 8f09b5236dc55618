// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/model/model_weights.h"

#include <cstdint>
#include <string>

namespace kvloupe {

/// Bytes of memory that a run takes with its weights in one place or the other.
struct MemoryNeeds {
    std::uint64_t resident = 0;
    std::uint64_t streamed = 0;

    std::uint64_t of(WeightPlacement placement) const
    {
        return placement == WeightPlacement::Resident ? resident : streamed;
    }
};

/// The program, weights, keys and values, and what a forward pass holds, of texts of up to `tokens` tokens. `threads` =
/// 0: one per core.
MemoryNeeds memoryNeeds(const ModelConfig& config, std::int64_t tokens, int threads);

/// Memory that can be taken without swapping: what the kernel says is available, and what the control group leaves.
std::uint64_t availableMemory();

/// Resident weights if they fit into `limit` bytes (0: into nine tenths of the available memory), streamed ones else.
/// Throws ModelError with the numbers if not even those fit into a limit that was given.
WeightPlacement placeWeights(const MemoryNeeds& needs, std::uint64_t limit);

/// For people: why weights are streamed, with the numbers.
std::string streamingRemark(const MemoryNeeds& needs);

} // namespace kvloupe
