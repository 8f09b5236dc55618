// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/item_draws.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// The sentences of a text: up to a '.', '!' or '?' before a blank, or up to a blank line; line breaks and runs of
/// blanks become one blank.
std::vector<std::string> sentencesOf(std::string_view text);

/// The sentences of every .txt file in a folder (not in folders below it), in the order of the names; a single file is
/// read the same way. Throws TaskError for a folder without text, files that are not UTF-8, and more than 256 MiB.
std::vector<std::string> readEssayFolder(const std::filesystem::path& folder);

/// Sentences from a drawn one on, until they have `words` words; behind the last comes the first again.
std::vector<std::string> consecutiveSentences(
    std::span<const std::string> sentences, std::int64_t words, ItemDraws& draws);

} // namespace kvloupe
