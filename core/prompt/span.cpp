// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/prompt/span.h"

#include <algorithm>
#include <array>

namespace kvloupe {

namespace {

constexpr std::array<std::string_view, spanKindCount> kindNames{"bos", "system", "template", "instruction", "shot",
    "shot_question", "shot_answer", "context", "needle", "evidence", "question", "thinking", "answer", "generated"};

} // namespace

std::string_view spanKindName(SpanKind kind)
{
    const auto index = static_cast<std::size_t>(kind);
    return index < kindNames.size() ? kindNames[index] : std::string_view("unknown");
}

std::optional<SpanKind> spanKindFromName(std::string_view name)
{
    const auto found = std::ranges::find(kindNames, name);
    if (found == kindNames.end())
        return std::nullopt;
    return static_cast<SpanKind>(found - kindNames.begin());
}

} // namespace kvloupe
