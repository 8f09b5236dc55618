// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvloupe {

enum class BudgetKind { Keep, Capacity, CompressionRatio };
/// docs/methods.md, budget arithmetic. Exact: floor of the exact decimal product. TruncateDouble: int(T * (1 - cr)) in
/// IEEE double, as kvpress computes it. HalfEven: Python's round().
enum class BudgetRounding { ExactFloor, TruncateDouble, HalfEven };

/// How much of the prompt a method may keep, as the user wrote it. The decimal text is kept, so that 0.29 of 100 tokens is 29.
class Budget {
public:
    /// Throws MethodError unless 0 < fraction <= 1, written as a decimal of at most 18 digits ("0.3", ".25", "1", "1e-2" is refused).
    static Budget keep(std::string_view fraction);
    static Budget keep(double fraction); ///< shortest decimal that round-trips
    static Budget capacity(std::int64_t tokens); ///< tokens per head, >= 1
    static Budget compressionRatio(std::string_view fraction); ///< fraction removed, 0 <= cr < 1

    BudgetKind kind() const { return m_kind; }
    const std::string& text() const { return m_text; } ///< as given: "0.3", "128"
    double fractionKept(std::int64_t tokens) const; ///< for display: requested share of a prompt

    /// Tokens to keep of `tokens`, clamped to [1, tokens] (0 of 0). Rounding defaults to exact for keep and to
    /// TruncateDouble for compressionRatio; capacity is min(capacity, tokens).
    std::int64_t tokensKept(std::int64_t tokens, std::optional<BudgetRounding> rounding = std::nullopt) const;

private:
    BudgetKind m_kind = BudgetKind::Keep;
    std::string m_text;
    std::int64_t m_numerator = 1; ///< fraction = numerator / denominator, denominator a power of ten; or the capacity
    std::int64_t m_denominator = 1;
};

} // namespace kvloupe
