// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/utf8_text.h"

#include "capture/tokenizer/tokenizer_error.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <cstdlib>
#include <iterator>
#include <memory>

namespace kvloupe {

namespace {

/// Bytes of the character at the front, 0 if it is malformed.
std::size_t characterLength(std::string_view text, utf8proc_int32_t& codePoint)
{
    const auto length = utf8proc_iterate(
        reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()), &codePoint);
    return length > 0 ? static_cast<std::size_t>(length) : 0;
}

std::string compose(std::string_view text)
{
    utf8proc_uint8_t* result = nullptr;
    const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
        static_cast<utf8proc_ssize_t>(text.size()), &result,
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
    if (length < 0)
        throw TokenizerError(fmt::format("Unicode normalisation failed: {}", utf8proc_errmsg(length)));
    return {reinterpret_cast<const char*>(result), static_cast<std::size_t>(length)};
}

/// Bytes of the grapheme cluster at the front; composition never reaches across clusters.
std::size_t clusterLength(std::string_view text)
{
    utf8proc_int32_t before = 0;
    utf8proc_int32_t state = 0;
    std::size_t length = characterLength(text, before);
    while (length < text.size()) {
        utf8proc_int32_t next = 0;
        const std::size_t step = characterLength(text.substr(length), next);
        if (utf8proc_grapheme_break_stateful(before, next, &state))
            break;
        before = next;
        length += step;
    }
    return length;
}

} // namespace

std::size_t firstInvalidUtf8(std::string_view text)
{
    std::size_t at = 0;
    while (at < text.size()) {
        if (static_cast<unsigned char>(text[at]) < 0x80) {
            ++at;
            continue;
        }
        utf8proc_int32_t codePoint = 0;
        const std::size_t length = characterLength(text.substr(at), codePoint);
        if (length == 0)
            return at;
        at += length;
    }
    return at;
}

std::string displayText(std::string_view bytes)
{
    std::string result;
    while (!bytes.empty()) {
        const std::size_t valid = firstInvalidUtf8(bytes);
        result += bytes.substr(0, valid);
        bytes.remove_prefix(valid);
        if (!bytes.empty()) {
            fmt::format_to(std::back_inserter(result), "<0x{:02X}>", static_cast<unsigned char>(bytes.front()));
            bytes.remove_prefix(1);
        }
    }
    return result;
}

ComposedText::ComposedText(std::string_view original)
    : m_original(original)
    , m_text(compose(original))
{
    m_changed = m_text != m_original;
    if (!m_changed)
        return;
    std::string text;
    for (std::size_t at = 0; at < original.size();) {
        const std::string_view cluster = original.substr(at, clusterLength(original.substr(at)));
        const std::string composed = compose(cluster);
        const auto begin = static_cast<std::int64_t>(at);
        const bool same = composed == cluster;
        for (std::size_t i = 0; i < composed.size(); ++i) {
            const auto byte = static_cast<std::int64_t>(at + i);
            m_origins.push_back(same ? std::array{byte, byte + 1}
                                     : std::array{begin, begin + static_cast<std::int64_t>(cluster.size())});
        }
        text += composed;
        at += cluster.size();
    }
    if (text != m_text)
        throw TokenizerError("Unicode normalisation reached across a grapheme cluster");
}

std::array<std::int64_t, 2> ComposedText::origin(std::size_t begin, std::size_t end) const
{
    if (!m_changed || begin == end)
        return {static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end)};
    return {m_origins[begin][0], m_origins[end - 1][1]};
}

} // namespace kvloupe
