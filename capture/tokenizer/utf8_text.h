// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// The first byte that is not part of well-formed UTF-8 (surrogates and overlong forms are not); text.size() if all is
/// well.
std::size_t firstInvalidUtf8(std::string_view text);

/// Text as a person may see it: bytes that are no UTF-8 become "<0xE2>".
std::string displayText(std::string_view bytes);

/// A text in Unicode normalisation form C that knows which bytes of the original each of its bytes came from.
class ComposedText {
public:
    /// `original` is well-formed UTF-8 and outlives this object.
    explicit ComposedText(std::string_view original);

    std::string_view text() const { return m_changed ? std::string_view(m_text) : m_original; }
    /// Bytes of the original behind bytes [begin, end) of text(). A cluster that composition changed counts as a whole.
    std::array<std::int64_t, 2> origin(std::size_t begin, std::size_t end) const;

private:
    std::string_view m_original;
    bool m_changed = false;
    std::string m_text;
    std::vector<std::array<std::int64_t, 2>> m_origins; // per byte of m_text
};

} // namespace kvloupe
