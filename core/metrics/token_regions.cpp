// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/token_regions.h"

#include <algorithm>
#include <limits>
#include <map>

namespace kvloupe {

namespace {

TokenRegion regionOf(const Span& span)
{
    if (span.shot >= 0)
        return {std::string(spanKindName(SpanKind::Shot)), span.shot};
    return {std::string(spanKindName(span.kind)), -1};
}

} // namespace

TokenRegions::TokenRegions(const PromptLayout& layout)
{
    // Shortest first, so that the first claim on a token holds. "generated" covers all that was generated and yields to
    // thinking and answer even where they are as long.
    std::vector<const Span*> spans;
    for (const Span& span : layout.spans())
        spans.push_back(&span);
    std::ranges::stable_sort(spans, {}, [](const Span* span) {
        return span->kind == SpanKind::Generated ? std::numeric_limits<std::int64_t>::max() : span->end - span->begin;
    });
    std::vector<const Span*> owner(static_cast<std::size_t>(layout.totalTokens()), nullptr);
    for (const Span* span : spans)
        for (std::int64_t position = span->begin; position < span->end; ++position)
            if (auto& taken = owner[static_cast<std::size_t>(position)]; taken == nullptr)
                taken = span;

    std::map<TokenRegion, int> numbers;
    for (std::int64_t position = 0; position < layout.totalTokens(); ++position) {
        const Span* span = owner[static_cast<std::size_t>(position)];
        const TokenRegion region = span != nullptr ? regionOf(*span)
            : position < layout.promptTokens()     ? TokenRegion{"other", -1}
                                                   : TokenRegion{std::string(spanKindName(SpanKind::Generated)), -1};
        const auto [found, isNew] = numbers.try_emplace(region, static_cast<int>(m_regions.size()));
        if (isNew)
            m_regions.push_back(region);
        m_regionOf.push_back(found->second);
    }
}

std::vector<std::int64_t> TokenRegions::countWithin(std::int64_t begin, std::int64_t end) const
{
    std::vector<std::int64_t> counts(m_regions.size(), 0);
    for (std::int64_t position = begin; position < end; ++position)
        ++counts[static_cast<std::size_t>(at(position))];
    return counts;
}

} // namespace kvloupe
