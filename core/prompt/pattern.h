// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvloupe {

/// A regular expression that a person or a file brought along: PCRE2, UTF, multi-line, held by limits on matching
/// steps, depth and memory, so that no pattern can hang the program.
class Pattern {
public:
    /// Throws Error naming the pattern and the place if it does not compile.
    explicit Pattern(std::string_view expression);

    /// All matches that do not overlap, as byte ranges [begin, end) of `text`, ascending; empty ones are left out.
    /// Throws Error if a limit is hit or the text is not UTF-8.
    std::vector<std::pair<std::size_t, std::size_t>> matches(std::string_view text) const;

private:
    std::string m_expression;
    std::shared_ptr<const void> m_code;
};

} // namespace kvloupe
