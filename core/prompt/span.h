// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kvloupe {

/// What a stretch of the prompt is. The values are stored in recordings (docs/recording-format.md) and never change.
enum class SpanKind : std::int8_t {
    Bos = 0,
    System = 1,
    Template = 2,
    Instruction = 3,
    Shot = 4,
    ShotQuestion = 5,
    ShotAnswer = 6,
    Context = 7,
    Needle = 8,
    Evidence = 9,
    Question = 10,
    Thinking = 11,
    Answer = 12,
    Generated = 13,
};

inline constexpr int spanKindCount = 14;

/// The name used in files and on the command line: "bos", "shot_question", ...
std::string_view spanKindName(SpanKind kind);
std::optional<SpanKind> spanKindFromName(std::string_view name);

/// A labelled half-open range, of tokens in recordings, of bytes while it is still attached to a text.
struct Span {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    SpanKind kind = SpanKind::Context;
    std::int32_t shot = -1; ///< number of the few-shot example it belongs to, -1 = none
    std::string label;

    bool operator==(const Span&) const = default;
};

} // namespace kvloupe
