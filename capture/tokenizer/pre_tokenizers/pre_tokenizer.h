// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/normalized_text.h"
#include "capture/tokenizer/split_pattern.h"

#include <memory>
#include <utility>
#include <vector>

namespace kvloupe {

/// The pieces of a text, in order; what lies in no piece is left out.
struct Pieces {
    NormalizedText text;
    std::vector<ByteRange> ranges; ///< of text.text(), none empty
};

/// A step that cuts pieces into smaller ones and may rewrite them. Each sees one piece at a time, so that a lookahead
/// ends with the piece. Const and thread-safe.
class PreTokenizer {
public:
    virtual ~PreTokenizer() = default;
    virtual void apply(Pieces& pieces) const = 0;
};

using PreTokenizers = std::vector<std::unique_ptr<const PreTokenizer>>;

} // namespace kvloupe
