// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/item_draws.h"

#include <cstdint>
#include <string>
#include <vector>

namespace kvloupe {

/// Plain sentences that hold no number and no name, from a small grammar ("The old boat drifted slowly past the quiet
/// meadow."), until they have at least `words` words. The first n sentences are the same for any number of words.
std::vector<std::string> fillerSentences(std::int64_t words, ItemDraws& draws);

/// Runs of bytes that are not blank.
std::int64_t countWords(std::string_view text);

} // namespace kvloupe
