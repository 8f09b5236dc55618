// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/prompt/pattern.h"

#include "core/error.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>

namespace kvloupe {

namespace {

constexpr std::uint32_t matchLimit = 1'000'000;
constexpr std::uint32_t depthLimit = 10'000;
constexpr std::uint32_t heapLimitKib = 16'384;

std::string shown(std::string_view text)
{
    std::string result(text.substr(0, 80));
    std::ranges::replace_if(
        result, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return result;
}

std::string message(int code)
{
    std::array<PCRE2_UCHAR, 160> text{};
    pcre2_get_error_message(code, text.data(), text.size());
    return reinterpret_cast<const char*>(text.data());
}

PCRE2_SPTR units(std::string_view text)
{
    return reinterpret_cast<PCRE2_SPTR>(text.data());
}

} // namespace

Pattern::Pattern(std::string_view expression)
    : m_expression(shown(expression))
{
    int code = 0;
    PCRE2_SIZE place = 0;
    pcre2_code* const compiled = pcre2_compile(units(expression), expression.size(),
        PCRE2_UTF | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &place, nullptr);
    if (compiled == nullptr)
        throw Error(fmt::format("pattern '{}': {} at character {}", m_expression, message(code), place));
    m_code = std::shared_ptr<const void>(compiled, [](pcre2_code* owned) { pcre2_code_free(owned); });
}

std::vector<std::pair<std::size_t, std::size_t>> Pattern::matches(std::string_view text) const
{
    const auto* const code = static_cast<const pcre2_code*>(m_code.get());
    const std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> context(
        pcre2_match_context_create(nullptr), &pcre2_match_context_free);
    const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
        pcre2_match_data_create_from_pattern(code, nullptr), &pcre2_match_data_free);
    if (!context || !data)
        throw std::bad_alloc();
    pcre2_set_match_limit(context.get(), matchLimit);
    pcre2_set_depth_limit(context.get(), depthLimit);
    pcre2_set_heap_limit(context.get(), heapLimitKib);

    std::vector<std::pair<std::size_t, std::size_t>> result;
    std::uint32_t options = PCRE2_NOTEMPTY;
    for (std::size_t from = 0; from <= text.size();) {
        const int found = pcre2_match(code, units(text), text.size(), from, options, data.get(), context.get());
        if (found == PCRE2_ERROR_NOMATCH)
            break;
        if (found < 0)
            throw Error(fmt::format("pattern '{}': {}", m_expression, message(found)));
        const PCRE2_SIZE* const ends = pcre2_get_ovector_pointer(data.get());
        if (ends[0] < from || ends[1] <= ends[0]) // \K inside a lookaround can do this
            throw Error(fmt::format("pattern '{}': a match ends before it begins", m_expression));
        result.emplace_back(ends[0], ends[1]);
        from = ends[1];
        options |= PCRE2_NO_UTF_CHECK; // checked by the first call
    }
    return result;
}

} // namespace kvloupe
