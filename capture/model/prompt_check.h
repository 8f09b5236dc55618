// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"

#include <cstdint>
#include <span>

namespace kvloupe {

/// What every forward pass refuses with a ModelError. `end`: position after the last of the tokens.
void requirePrompt(const ModelConfig& config, std::span<const std::int32_t> ids, std::int64_t end);

/// Refuses a text that cannot grow: what was computed before its RoPE changes would not hold (LongRoPE).
void requireSameRope(const ModelConfig& config, std::int64_t tokensBefore, std::int64_t tokensAfter);

} // namespace kvloupe
