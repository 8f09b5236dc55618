// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// Number of single-character insertions, deletions, replacements and swaps of neighbours between two names. O(n * m).
std::size_t editDistance(std::string_view a, std::string_view b);

/// Up to three of `names` that `name` may have been meant to be, best first: a third of its letters may be wrong, or it
/// begins or ends one of them. Case is ignored.
std::vector<std::string> nearestNames(std::string_view name, std::span<const std::string> names);

/// " (did you mean snapkv?)", or nothing when no name is near.
std::string didYouMean(std::string_view name, std::span<const std::string> names);

/// `name` fit for a message of one line: control characters as '?', at most 40 bytes.
std::string shownName(std::string_view name);

} // namespace kvloupe
