// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"

#include <cstdint>
#include <functional>
#include <string_view>

namespace kvloupe {

/// The largest values a configuration may hold: far above any published model, small enough that products of three fit
/// into 64 bits.
inline constexpr std::int64_t largestLayerCount = 1024;
inline constexpr std::int64_t largestHeadCount = 4096;
inline constexpr std::int64_t largestHeadDim = 4096;
inline constexpr std::int64_t largestWidth = 1 << 20;
inline constexpr std::int64_t largestVocabulary = 1 << 24;
inline constexpr std::int64_t largestContext = std::int64_t{1} << 40;
inline constexpr double largestReal = 1e30; ///< a float32 number

/// Says "FIELD: PROBLEM" in the words of the file at hand and throws.
using FieldError = std::function<void(std::string_view field, std::string_view problem)>;

/// What no single field can show: heads that share KV heads evenly, an even head_dim, positive constants, ids inside
/// the vocabulary, a known architecture.
void checkConsistency(const ModelConfig& config, const FieldError& fail);

/// Throws, through `fail`, the list of architectures that can be run unless `architecture` is one of them.
void checkArchitecture(std::string_view architecture, std::string_view field, const FieldError& fail);

} // namespace kvloupe
