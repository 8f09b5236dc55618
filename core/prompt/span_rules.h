// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/prompt/span.h"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace kvloupe {

/// Finds few-shot examples by the `auto` rule: blocks that begin with the same label ("Question:", "Q:", "Input:", ...)
/// after a blank line. Text before the first block is the instruction, the last block is the question when its answer
/// is still open, every other block is a shot with its question and its answer.
///
/// Returns spans in bytes of `text`, ordered by begin; empty if fewer than two blocks share a label.
std::vector<Span> detectShots(std::string_view text);

/// The same with an explicit separator between examples, a PCRE2 pattern (UTF, multi-line; match, depth and heap
/// limits apply). Throws Error naming the pattern if it does not compile or hits a limit.
std::vector<Span> splitShots(std::string_view text, std::string_view separatorPattern);

/// Turns spans over bytes into spans over tokens. A token belongs to a span if its bytes and the span's overlap; a
/// token that straddles two neighbours goes to the one that holds its first byte that is not white space. Spans left
/// without a token are dropped. `offsets`: byte ranges per token.
std::vector<Span> spansOverTokens(
    std::span<const Span> byteSpans, std::span<const std::array<std::int64_t, 2>> offsets, std::string_view text);

} // namespace kvloupe
