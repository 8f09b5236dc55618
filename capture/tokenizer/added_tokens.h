// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/split_pattern.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kvloupe {

/// A token that is found in the text as a whole, before any splitting.
struct AddedToken {
    std::string content;
    std::int32_t id = 0;
    bool special = false;
    bool singleWord = false; ///< only where no word goes on before or behind it
    bool leftStrip = false; ///< takes the white space before it along
    bool rightStrip = false; ///< takes the white space after it along
    bool normalized = false; ///< looked for in the normalised text
};

/// Finds added tokens in a text, leftmost first, the longest of those that begin at one place (Hugging Face's
/// AddedVocabulary). Const and thread-safe.
class AddedTokenMatcher {
public:
    AddedTokenMatcher() = default;
    /// No content may be empty.
    explicit AddedTokenMatcher(std::vector<AddedToken> tokens);
    AddedTokenMatcher(AddedTokenMatcher&&) noexcept = default;
    AddedTokenMatcher& operator=(AddedTokenMatcher&&) noexcept = default;

    struct Match {
        ByteRange range; ///< with the white space it takes along
        std::int32_t id = 0;
    };

    /// With `parseSpecial` false, special tokens stay ordinary text; what they cover is not searched again.
    std::vector<Match> find(std::string_view text, bool parseSpecial) const;

private:
    const AddedToken* longestAt(std::string_view rest) const;

    std::vector<AddedToken> m_tokens;
    std::unordered_map<std::string_view, const AddedToken*> m_byContent;
    std::array<std::vector<std::size_t>, 256> m_lengths; // by first byte, descending
};

} // namespace kvloupe
