// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/prompt/prompt_layout.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Throws Error naming the first shot that is empty, reversed, outside [0, promptTokens) or begins before the end of
/// the one before it.
void checkShots(std::span<const TokenRange> shots, std::int64_t promptTokens);

/// `spans` of a prompt with its few-shot examples replaced by `shots` (checkShots): one span of kind Shot each,
/// numbered in order. Parts of examples (questions, answers) stay where they lie within one of the new shots and get
/// its number; the others go. What is no part of an example stays as it is.
std::vector<Span> withShots(std::span<const Span> spans, std::span<const TokenRange> shots, std::int64_t promptTokens);

} // namespace kvloupe
