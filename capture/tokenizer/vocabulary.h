// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kvloupe {

inline constexpr std::int64_t largestTokenId = (1 << 24) - 1;
inline constexpr std::size_t longestToken = 4096; ///< bytes

/// The entries of a token model, by id and by text.
class Vocabulary {
public:
    /// `entries[id]`, empty where an id has no entry. Throws TokenizerError, which begins with `where`, for an entry
    /// that occurs twice.
    Vocabulary(std::vector<std::string> entries, const std::string& where);
    Vocabulary(const Vocabulary&) = delete;
    Vocabulary& operator=(const Vocabulary&) = delete;

    const std::vector<std::string>& entries() const { return m_entries; }
    std::int32_t find(std::string_view entry) const; ///< -1 if there is none

private:
    std::vector<std::string> m_entries;
    std::unordered_map<std::string_view, std::int32_t> m_ids;
};

} // namespace kvloupe
