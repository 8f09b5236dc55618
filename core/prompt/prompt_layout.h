// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/prompt/span.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// A half-open range of tokens.
struct TokenRange {
    std::int64_t begin = 0;
    std::int64_t end = 0;

    std::int64_t size() const { return end - begin; }
    bool operator==(const TokenRange&) const = default;
};

/// Where BOS, instruction, shots, question, thinking and answer lie in a prompt of `promptTokens` tokens.
///
/// Methods read the layout; they never see text. Spans may overlap (a shot holds its question and its answer).
class PromptLayout {
public:
    PromptLayout() = default;
    /// Throws Error if a span is reversed or reaches outside [0, totalTokens).
    PromptLayout(std::int64_t promptTokens, std::int64_t totalTokens, std::vector<Span> spans);
    explicit PromptLayout(std::int64_t promptTokens)
        : PromptLayout(promptTokens, promptTokens, {})
    {
    }

    std::int64_t promptTokens() const { return m_promptTokens; }
    std::int64_t totalTokens() const { return m_totalTokens; }
    std::span<const Span> spans() const { return m_spans; }

    /// One range per few-shot example, in order of its number: the hull of the spans that carry that number.
    std::span<const TokenRange> shots() const { return m_shots; }
    /// First token after the last shot, 0 without shots.
    std::int64_t lastShotEnd() const;

private:
    std::int64_t m_promptTokens = 0;
    std::int64_t m_totalTokens = 0;
    std::vector<Span> m_spans;
    std::vector<TokenRange> m_shots;
};

} // namespace kvloupe
