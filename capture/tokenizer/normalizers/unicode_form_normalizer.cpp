// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/normalizers/unicode_form_normalizer.h"

#include "capture/tokenizer/tokenizer_error.h"
#include "capture/tokenizer/utf8_text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <optional>

namespace kvloupe {

namespace {

using Character = NormalizedText::Character;
using Characters = std::vector<Character>;

int classOf(char32_t code)
{
    return static_cast<int>(utf8proc_get_property(static_cast<utf8proc_int32_t>(code))->combining_class);
}

/// Characters that no form changes and that compose with nothing before them.
bool isInert(char32_t code, bool isNfc)
{
    return code < 0x80 || (isNfc && code < 0x300) || (code >= 0x4e00 && code <= 0x9fff);
}

/// The canonical or compatibility decomposition in canonical order.
Characters decompose(std::string_view text, bool isCompatible)
{
    const int canonical = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
    const auto options = static_cast<utf8proc_option_t>(isCompatible ? canonical | UTF8PROC_COMPAT : canonical);
    Characters result;
    std::size_t pending = 0; // where the marks that still have to be ordered begin
    const auto byClass = [](const Character& a, const Character& b) { return classOf(a.code) < classOf(b.code); };
    const auto order = [&] {
        std::stable_sort(result.begin() + static_cast<std::ptrdiff_t>(pending), result.end(), byClass);
        pending = result.size();
    };
    for (; !text.empty(); text.remove_prefix(characterLength(text))) {
        std::array<utf8proc_int32_t, 32> parts{}; // the longest decomposition has 18
        int boundary = 0;
        const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(firstCharacter(text).code),
            parts.data(), static_cast<utf8proc_ssize_t>(parts.size()), options, &boundary);
        if (count < 0 || count > static_cast<utf8proc_ssize_t>(parts.size()))
            throw TokenizerError(fmt::format("Unicode normalisation failed: {}", utf8proc_errmsg(count)));
        for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
            const auto code = static_cast<char32_t>(parts.at(i));
            if (classOf(code) == 0)
                order();
            result.push_back({code, i == 0 ? 0 : 1});
        }
    }
    order();
    return result;
}

std::optional<char32_t> composedPair(char32_t first, char32_t second)
{
    std::array pair{static_cast<utf8proc_int32_t>(first), static_cast<utf8proc_int32_t>(second)};
    const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    return utf8proc_normalize_utf32(pair.data(), 2, options) == 1 ? std::optional(static_cast<char32_t>(pair.front()))
                                                                  : std::nullopt;
}

/// Canonical composition (UAX #15, section 1.3) that keeps account of what takes the place of what.
Characters compose(const Characters& from)
{
    Characters result;
    std::optional<std::size_t> starter; // position in result
    int lastClass = -1; // of the marks between the starter and here that stayed; -1: none
    for (const Character& character : from) {
        const int own = classOf(character.code);
        if (starter && lastClass < own) {
            Character& base = result[*starter];
            if (const auto composed = composedPair(base.code, character.code)) {
                base = {*composed, base.change + character.change - 1};
                continue;
            }
        }
        if (own == 0) {
            starter = result.size();
            lastClass = -1;
        } else if (starter) {
            lastClass = own;
        }
        result.push_back(character);
    }
    return result;
}

} // namespace

void UnicodeFormNormalizer::apply(NormalizedText& text) const
{
    const bool isComposed = m_form == UnicodeForm::Nfc || m_form == UnicodeForm::Nfkc;
    const bool isCompatible = m_form == UnicodeForm::Nfkc || m_form == UnicodeForm::Nfkd;
    const bool isNfc = m_form == UnicodeForm::Nfc;
    const std::string_view from = text.text();
    std::optional<NormalizedText::Rewriter> rewriter;
    std::size_t kept = 0; // up to here the text has been taken over
    for (std::size_t at = 0; at < from.size();) {
        std::size_t begin = at; // of an inert character, which may compose with what follows
        while (at < from.size()) {
            const auto [code, length] = firstCharacter(from.substr(at));
            if (!isInert(code, isNfc))
                break;
            begin = at;
            at += length;
        }
        if (at == from.size())
            break;
        while (at < from.size()) {
            const auto [code, length] = firstCharacter(from.substr(at));
            if (isInert(code, isNfc))
                break;
            at += length;
        }
        const std::string_view stretch = from.substr(begin, at - begin);
        const Characters decomposed = decompose(stretch, isCompatible);
        const Characters characters = isComposed ? compose(decomposed) : decomposed;
        std::string replacement;
        for (const Character& character : characters)
            replacement += utf8Of(character.code);
        if (replacement == stretch)
            continue;
        if (!rewriter)
            rewriter.emplace(text);
        rewriter->keep(kept, begin);
        rewriter->replace(begin, at, characters);
        kept = at;
    }
    if (!rewriter)
        return;
    rewriter->keep(kept, from.size());
    text = rewriter->take();
}

} // namespace kvloupe
