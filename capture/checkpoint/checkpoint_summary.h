// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace kvloupe {

/// What a model file or folder holds, also when it cannot be run.
struct CheckpointSummary {
    std::string format; ///< "GGUF v3", "safetensors"; empty if it is neither
    std::optional<ModelConfig> config; ///< absent if it cannot be understood
    std::int64_t tensors = 0;
    std::int64_t parameters = 0; ///< numbers in all tensors
    std::uint64_t bytes = 0; ///< of the file, or of all shards
    std::map<std::string, std::int64_t> tensorsByType; ///< "Q4_1" to number of tensors
    std::map<std::string, std::int64_t> parametersByType; ///< "Q4_1" to numbers in them
    std::string problem; ///< why it cannot be run; empty if it can
};

/// Throws CheckpointError only if there is nothing at `path`.
CheckpointSummary summarizeCheckpoint(const std::filesystem::path& path);

} // namespace kvloupe
