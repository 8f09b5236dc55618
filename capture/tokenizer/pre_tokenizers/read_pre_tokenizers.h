// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/json_node.h"
#include "capture/tokenizer/pre_tokenizers/pre_tokenizer.h"

namespace kvloupe {

struct PreTokenizerSteps {
    PreTokenizers steps;
    bool isByteLevel = false; ///< the model works on bytes written in GPT-2's stand-ins
};

/// The steps of a tokenizer.json's "pre_tokenizer", if it has one. Throws TokenizerError for a step that is not known.
PreTokenizerSteps readPreTokenizers(const JsonNode& root);

} // namespace kvloupe
