// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvloupe {

/// What bytes the entries of a vocabulary stand for, and what a text loses at its beginning.
struct TokenDecoder {
    bool usesByteAlphabet = false; ///< entries are written in GPT-2's stand-ins
    bool fallsBackToBytes = false; ///< "<0x0A>" is a byte
    std::vector<std::pair<std::string, std::string>> replacements; ///< in entries, in order
    bool dropsFirstSpace = false; ///< a text loses the space it begins with
    bool dropsSpacesOfFirstToken = false;

    std::string bytesOf(std::string_view entry) const;
    /// The same for an added token, which is written in plain text.
    std::string bytesOfAdded(std::string_view content) const;
    /// Takes away what the beginning of a text loses; its first token has `firstBytes` bytes.
    void trimStart(std::string& text, std::size_t firstBytes) const;
};

} // namespace kvloupe
