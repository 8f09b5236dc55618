// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/budget.h"

#include "core/methods/method_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace kvloupe {

namespace {

__extension__ using Wide = __int128; // a token count times a numerator of 18 digits

constexpr std::size_t maximumDigits = 18;

/// What was found, short enough and clean enough for one line.
std::string quoted(std::string_view text)
{
    std::string shown;
    for (const char c : text.substr(0, 40))
        shown += c >= 0x20 && c < 0x7f ? c : '?';
    return "'" + shown + (text.size() > 40 ? "...'" : "'");
}

struct Decimal {
    std::int64_t numerator = 0;
    std::int64_t denominator = 1;
    double value = 0.0;
};

Decimal parseDecimal(std::string_view text, std::string_view field, std::string_view expected)
{
    const auto fail = [&](std::string_view reason) {
        return MethodError(fmt::format("{}: found {}{}, expected {}", field, quoted(text), reason, expected));
    };
    Decimal decimal;
    std::size_t digits = 0;
    bool anyDigit = false;
    bool point = false;
    for (const char c : text) {
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9')
            throw fail("");
        anyDigit = true;
        if (c == '0' && !point && decimal.numerator == 0)
            continue; // leading zeros
        if (++digits > maximumDigits)
            throw fail(" with more than 18 digits");
        decimal.numerator = decimal.numerator * 10 + (c - '0');
        if (point)
            decimal.denominator *= 10;
    }
    if (!anyDigit)
        throw fail("");
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), decimal.value);
    if (error != std::errc() || end != text.data() + text.size())
        throw fail("");
    return decimal;
}

} // namespace

std::string_view budgetKindName(BudgetKind kind)
{
    switch (kind) {
    case BudgetKind::Keep:
        return "keep";
    case BudgetKind::Capacity:
        return "capacity";
    case BudgetKind::CompressionRatio:
        return "compression_ratio";
    }
    return "";
}

std::string_view budgetRoundingName(BudgetRounding rounding)
{
    switch (rounding) {
    case BudgetRounding::ExactFloor:
        return "exact_floor";
    case BudgetRounding::TruncateDouble:
        return "trunc_double";
    case BudgetRounding::HalfEven:
        return "round_half_even";
    }
    return "";
}

std::optional<BudgetRounding> budgetRoundingFromName(std::string_view name)
{
    for (const auto rounding : {BudgetRounding::ExactFloor, BudgetRounding::TruncateDouble, BudgetRounding::HalfEven})
        if (budgetRoundingName(rounding) == name)
            return rounding;
    return std::nullopt;
}

Budget Budget::keep(std::string_view fraction)
{
    constexpr std::string_view expected = "a share kept above 0 and at most 1, such as 0.3";
    const Decimal decimal = parseDecimal(fraction, "keep", expected);
    if (decimal.numerator <= 0 || decimal.numerator > decimal.denominator)
        throw MethodError(fmt::format("keep: found {}, expected {}", quoted(fraction), expected));
    Budget budget;
    budget.m_kind = BudgetKind::Keep;
    budget.m_text = fraction;
    budget.m_numerator = decimal.numerator;
    budget.m_denominator = decimal.denominator;
    budget.m_value = decimal.value;
    return budget;
}

Budget Budget::keep(double fraction)
{
    if (!(fraction > 0.0 && fraction <= 1.0))
        throw MethodError(fmt::format("keep: found {}, expected a share kept above 0 and at most 1", fraction));
    std::array<char, 400> text;
    const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), fraction, std::chars_format::fixed);
    if (error != std::errc())
        throw MethodError(fmt::format("keep: found {}, expected a decimal of at most 18 digits", fraction));
    return keep(std::string_view(text.data(), end));
}

Budget Budget::capacity(std::int64_t tokens)
{
    if (tokens < 1)
        throw MethodError(fmt::format("capacity: found {}, expected a number of tokens of at least 1", tokens));
    Budget budget;
    budget.m_kind = BudgetKind::Capacity;
    budget.m_text = std::to_string(tokens);
    budget.m_numerator = tokens;
    return budget;
}

Budget Budget::capacity(std::string_view tokens)
{
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(tokens.data(), tokens.data() + tokens.size(), value);
    if (error != std::errc() || end != tokens.data() + tokens.size() || value < 1)
        throw MethodError(fmt::format("capacity: found {}, expected a number of tokens of at least 1", quoted(tokens)));
    return capacity(value);
}

Budget Budget::compressionRatio(std::string_view fraction)
{
    constexpr std::string_view expected = "a share removed of at least 0 and below 1, such as 0.7";
    const Decimal decimal = parseDecimal(fraction, "compression ratio", expected);
    if (decimal.numerator >= decimal.denominator)
        throw MethodError(fmt::format("compression ratio: found {}, expected {}", quoted(fraction), expected));
    Budget budget;
    budget.m_kind = BudgetKind::CompressionRatio;
    budget.m_text = fraction;
    budget.m_numerator = decimal.numerator;
    budget.m_denominator = decimal.denominator;
    budget.m_value = decimal.value;
    return budget;
}

double Budget::fractionKept(std::int64_t tokens) const
{
    switch (m_kind) {
    case BudgetKind::Keep:
        return m_value;
    case BudgetKind::CompressionRatio:
        return static_cast<double>(m_denominator - m_numerator) / static_cast<double>(m_denominator);
    case BudgetKind::Capacity:
        break;
    }
    return tokens <= 0 ? 1.0 : std::min(1.0, static_cast<double>(m_numerator) / static_cast<double>(tokens));
}

std::int64_t Budget::tokensKept(std::int64_t tokens, std::optional<BudgetRounding> rounding) const
{
    if (tokens <= 0)
        return 0;
    if (m_kind == BudgetKind::Capacity)
        return std::min(m_numerator, tokens);

    const bool removed = m_kind == BudgetKind::CompressionRatio;
    const double count = static_cast<double>(tokens);
    std::int64_t kept = 0;
    switch (rounding.value_or(removed ? BudgetRounding::TruncateDouble : BudgetRounding::ExactFloor)) {
    case BudgetRounding::ExactFloor: {
        const std::int64_t numerator = removed ? m_denominator - m_numerator : m_numerator;
        kept = static_cast<std::int64_t>(Wide{tokens} * numerator / m_denominator);
        break;
    }
    case BudgetRounding::TruncateDouble:
        kept = static_cast<std::int64_t>(tokensUnrounded(tokens));
        break;
    case BudgetRounding::HalfEven:
        kept = static_cast<std::int64_t>(std::nearbyint(count * (removed ? 1.0 - m_value : m_value)));
        break;
    }
    return std::clamp<std::int64_t>(kept, 1, tokens);
}

double Budget::tokensUnrounded(std::int64_t tokens) const
{
    if (m_kind == BudgetKind::Capacity)
        return static_cast<double>(std::min(m_numerator, tokens));
    const double ratio = m_kind == BudgetKind::CompressionRatio ? m_value : 1.0 - m_value;
    return static_cast<double>(tokens) * (1.0 - ratio);
}

} // namespace kvloupe
