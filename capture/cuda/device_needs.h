// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"
#include "core/recording/recording_types.h"

#include <cstdint>

namespace kvloupe::cuda {

/// What is recorded where, as far as device memory depends on it.
struct DeviceRun {
    std::int64_t promptTokens = 0; ///< of the longest prompt
    std::int64_t totalTokens = 0; ///< with what is generated after it
    RecordKind kind = RecordKind::Full;
    bool rowOrder = false;
    int elementBytes = 2; ///< of weights, activations and cache
    std::uint64_t workBytes = 0; ///< LayerRecorder::Limits
    std::uint64_t ringBytes = 0; ///< of the buffers that map tiles leave through
};

/// Bytes on the device, without what the CUDA runtime and LibTorch's allocator take for themselves.
struct DeviceNeeds {
    std::uint64_t weights = 0;
    std::uint64_t cache = 0; ///< keys and values
    std::uint64_t activations = 0; ///< the largest that exist at once
    std::uint64_t work = 0; ///< statistics and pooled cells of heads on their way to the host
    std::uint64_t ring = 0; ///< map tiles on their way to the host
    std::uint64_t total() const { return weights + cache + activations + work + ring; }
};

DeviceNeeds deviceNeeds(const ModelConfig& config, const DeviceRun& run);

/// What one prompt sends from the device to the host: vectors in float32, statistics and pooled cells or rows, and
/// `mapBytes` of map tiles.
std::uint64_t bytesToHost(const ModelConfig& config, const DeviceRun& run, std::uint64_t mapBytes);

} // namespace kvloupe::cuda
