// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/prompt/prompt_layout.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace kvloupe {

PromptLayout::PromptLayout(std::int64_t promptTokens, std::int64_t totalTokens, std::vector<Span> spans)
    : m_promptTokens(promptTokens)
    , m_totalTokens(totalTokens)
    , m_spans(std::move(spans))
{
    if (promptTokens < 0 || promptTokens > totalTokens)
        throw Error(fmt::format("prompt layout: found {} prompt tokens of {} tokens, expected no more than there are",
            promptTokens, totalTokens));
    std::map<std::int32_t, TokenRange> shots;
    for (const Span& span : m_spans) {
        if (span.begin < 0 || span.begin > span.end || span.end > totalTokens)
            throw Error(fmt::format("prompt layout: span {} is [{}, {}), expected a range within [0, {})",
                spanKindName(span.kind), span.begin, span.end, totalTokens));
        if (span.shot < 0 || span.begin == span.end)
            continue;
        const auto [shot, isNew] = shots.try_emplace(span.shot, TokenRange{span.begin, span.end});
        if (!isNew) {
            shot->second.begin = std::min(shot->second.begin, span.begin);
            shot->second.end = std::max(shot->second.end, span.end);
        }
    }
    for (const auto& [number, range] : shots)
        m_shots.push_back(range);
}

std::int64_t PromptLayout::lastShotEnd() const
{
    std::int64_t end = 0;
    for (const TokenRange& shot : m_shots)
        end = std::max(end, shot.end);
    return end;
}

} // namespace kvloupe
