// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/pre_tokenizers/pre_tokenizer.h"

#include <string>
#include <string_view>

namespace kvloupe {

/// What becomes of the matches of a split, as in Hugging Face's SplitDelimiterBehavior.
enum class SplitBehavior { Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous };

/// Cuts where a pattern matches.
class SplitStep final : public PreTokenizer {
public:
    struct Definition {
        std::string pattern;
        PatternSyntax syntax = PatternSyntax::Regex;
        SplitBehavior behavior = SplitBehavior::Isolated;
        bool invert = false; ///< what the pattern does not match is the match
    };

    /// `where` begins error messages.
    SplitStep(const Definition& definition, std::string where);
    void apply(Pieces& pieces) const override;

private:
    SplitPattern m_pattern;
    SplitBehavior m_behavior;
    bool m_invert;
};

/// GPT-2's pattern (encoder.py), which is also what Hugging Face's ByteLevel step splits with.
extern const std::string_view gpt2Pattern;

} // namespace kvloupe
