// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/pre_tokenizers/pre_tokenizer.h"

namespace kvloupe {

/// Puts a space before every piece that does not begin with one (ByteLevel's add_prefix_space).
class PrefixSpaceStep final : public PreTokenizer {
public:
    void apply(Pieces& pieces) const override;
};

} // namespace kvloupe
