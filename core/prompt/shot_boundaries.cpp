// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/prompt/shot_boundaries.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

void checkShots(std::span<const TokenRange> shots, std::int64_t promptTokens)
{
    std::int64_t before = 0;
    for (std::size_t shot = 0; shot < shots.size(); ++shot) {
        const TokenRange& range = shots[shot];
        if (range.begin < before || range.begin >= range.end || range.end > promptTokens)
            throw Error(fmt::format("shot {}: found tokens {} to {}, expected a range within [{}, {})", shot + 1,
                range.begin, range.end, before, promptTokens));
        before = range.end;
    }
}

std::vector<Span> withShots(std::span<const Span> spans, std::span<const TokenRange> shots, std::int64_t promptTokens)
{
    checkShots(shots, promptTokens);
    std::vector<Span> result;
    for (std::size_t shot = 0; shot < shots.size(); ++shot)
        result.push_back({shots[shot].begin, shots[shot].end, SpanKind::Shot, static_cast<std::int32_t>(shot), {}});
    for (Span span : spans) {
        if (span.kind == SpanKind::Shot)
            continue;
        if (span.shot >= 0) {
            const auto holder = std::ranges::find_if(
                shots, [&](const TokenRange& shot) { return shot.begin <= span.begin && span.end <= shot.end; });
            if (holder == shots.end())
                continue;
            span.shot = static_cast<std::int32_t>(holder - shots.begin());
        }
        result.push_back(std::move(span));
    }
    std::ranges::stable_sort(result, {}, &Span::begin);
    return result;
}

} // namespace kvloupe
