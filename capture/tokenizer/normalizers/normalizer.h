// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/normalized_text.h"

#include <memory>
#include <vector>

namespace kvloupe {

/// A step that rewrites a text before it is cut into pieces, with the result and the origins of Hugging Face's
/// tokenizers. Const and thread-safe.
class Normalizer {
public:
    virtual ~Normalizer() = default;
    virtual void apply(NormalizedText& text) const = 0;
};

using Normalizers = std::vector<std::unique_ptr<const Normalizer>>;

} // namespace kvloupe
