// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvloupe {

enum class BudgetKind { Keep, Capacity, CompressionRatio };
std::string_view budgetKindName(BudgetKind kind); ///< "keep", "capacity", "compression_ratio"

/// How a share of the prompt becomes a number of tokens (docs/methods.md, budget arithmetic).
///
/// ExactFloor: floor of the exact decimal product. TruncateDouble: `int(T * (1 - cr))` in IEEE double, as kvpress
/// computes it, with cr = 1 - keep when a share kept was given. HalfEven: the product in double, rounded as Python's
/// round() does.
enum class BudgetRounding { ExactFloor, TruncateDouble, HalfEven };
std::string_view budgetRoundingName(BudgetRounding rounding); ///< "exact_floor", "trunc_double", "round_half_even"
std::optional<BudgetRounding> budgetRoundingFromName(std::string_view name);

/// How much of the prompt a method may keep, as the user wrote it: the decimal text is kept, so that 0.29 of 100 tokens
/// is 29.
class Budget {
public:
    /// Throws MethodError unless 0 < fraction <= 1, written as a plain decimal of at most 18 digits ("0.3", ".25",
    /// "1").
    static Budget keep(std::string_view fraction);
    static Budget keep(double fraction); ///< the shortest decimal that reads back as `fraction`
    static Budget capacity(std::int64_t tokens); ///< tokens per head, >= 1
    static Budget capacity(std::string_view tokens);
    static Budget compressionRatio(std::string_view fraction); ///< share removed, 0 <= cr < 1

    BudgetKind kind() const { return m_kind; }
    const std::string& text() const { return m_text; } ///< as given: "0.3", "128"
    /// The share of a prompt of `tokens` tokens that was asked for, in (0, 1]; for display.
    double fractionKept(std::int64_t tokens) const;

    /// Tokens to keep of `tokens`, clamped to [1, tokens] (0 of 0). Without `rounding`: ExactFloor for a share kept,
    /// TruncateDouble for a compression ratio. A capacity is min(capacity, tokens) whatever the rounding.
    std::int64_t tokensKept(std::int64_t tokens, std::optional<BudgetRounding> rounding = std::nullopt) const;

    /// What TruncateDouble truncates, tokens * (1.0 - cr) in IEEE double, for rules that round later (PyramidKV). A
    /// capacity is min(capacity, tokens).
    double tokensUnrounded(std::int64_t tokens) const;

    bool operator==(const Budget&) const = default;

private:
    BudgetKind m_kind = BudgetKind::Keep;
    std::string m_text = "1";
    std::int64_t m_numerator = 1; ///< the share = numerator / denominator, a power of ten; or the capacity
    std::int64_t m_denominator = 1;
    double m_value = 1.0; ///< the share as the nearest double
};

} // namespace kvloupe
