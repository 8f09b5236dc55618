// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/json_node.h"
#include "capture/tokenizer/models/pair_merger.h"
#include "capture/tokenizer/vocabulary.h"

#include <memory>
#include <string>

namespace kvloupe {

struct ReadModel {
    std::shared_ptr<const Vocabulary> vocabulary;
    std::unique_ptr<const TokenModel> model;
    std::string kind; ///< "bpe", "sentencepiece bpe", "unigram"
};

/// The "model" of a tokenizer.json. Throws TokenizerError for a model that is not known or damaged.
ReadModel readModel(const JsonNode& root, bool isByteLevel);

/// Throws TokenizerError, which begins with `where`, unless both parts and their concatenation are entries.
PairMerge resolvedMerge(const Vocabulary& vocabulary, std::string_view left, std::string_view right, std::size_t rank,
    const std::string& where);

} // namespace kvloupe
