// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/recording_types.h"

#include <QString>

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// What can be read as one piece: one token, or neighbouring tokens that share a character (byte-level tokenizers split
/// what UTF-8 writes in several bytes).
struct TokenGroup {
    std::int64_t begin = 0; ///< tokens [begin, end)
    std::int64_t end = 0;
    QString text; ///< as it reads, line feeds included
    bool special = false; ///< has no characters in the prompt, `text` is the token's name ("<s>")

    bool operator==(const TokenGroup&) const = default;
};

/// The prompt and the generated text as pieces that can be read. Immutable.
///
/// Every byte of the text is in exactly one group: bytes no token claims (white space a tokenizer swallowed) go to the
/// group after them. Bytes that are no UTF-8 read as U+FFFD.
class TokenText {
public:
    TokenText() = default;
    explicit TokenText(const SampleText& sample);

    std::span<const TokenGroup> groups() const { return m_groups; }
    std::int64_t tokenCount() const { return static_cast<std::int64_t>(m_groupOfToken.size()); }
    /// Index of the group that holds `token`, -1 if there is no such token.
    int groupOf(std::int64_t token) const;
    /// One line for axes, tool tips and the status line: line feeds and tabs as symbols, spaces kept; at most
    /// `maximumLength` characters, an ellipsis included.
    QString label(std::int64_t token, int maximumLength = 24) const;

private:
    std::vector<TokenGroup> m_groups;
    std::vector<std::int32_t> m_groupOfToken;
};

/// Line feeds, tabs and other control characters as visible symbols.
QString visibleControls(const QString& text);

} // namespace kvloupe
