// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/architecture.h"
#include "capture/checkpoint/rope_config.h"

#include <string>

namespace kvloupe {

class GgufFile;

/// What the metadata of a GGUF file say about RoPE, and the tensors of divisors that llama.cpp's converter adds
/// (rope_freqs of Llama 3.1, rope_factors_long and _short of LongRoPE). `prefix`: "llama."; `maxPositions`: the file's
/// context length.
RopeConfig readRope(const GgufFile& file, const std::string& prefix, const Architecture& architecture, int headDim,
    std::int64_t maxPositions);

} // namespace kvloupe
