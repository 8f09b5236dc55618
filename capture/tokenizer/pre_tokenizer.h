// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/split_pattern.h"

#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// What becomes of the matches of a split, as in Hugging Face's SplitDelimiterBehavior.
enum class SplitBehavior { Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous };

/// One step of a pre-tokenizer.
struct SplitStep {
    std::string pattern;
    PatternSyntax syntax = PatternSyntax::Regex;
    SplitBehavior behavior = SplitBehavior::Isolated;
    bool invert = false; ///< what the pattern does not match is the match
};

/// GPT-2's pattern (encoder.py), which is also what Hugging Face's ByteLevel step splits with.
extern const std::string_view gpt2Pattern;

/// The steps that GGUF's `tokenizer.ggml.pre` stands for. Throws TokenizerError listing the known names.
struct NamedPreTokenizer {
    std::vector<SplitStep> steps;
    bool composes = false; ///< normalises to NFC first
    bool ignoresMerges = false; ///< a piece that is a vocabulary entry is never split
    bool addsBos = false; ///< unless the file says otherwise
};
NamedPreTokenizer namedPreTokenizer(std::string_view name, const std::string& where);

/// Cuts a text into the pieces that byte-pair merging works on. Thread-safe.
class PreTokenizer {
public:
    PreTokenizer(const std::vector<SplitStep>& steps, const std::string& where);

    /// Non-empty pieces in order; `text` is well-formed UTF-8. Without Removed steps they cover the text.
    std::vector<ByteRange> split(std::string_view text) const;

private:
    struct Step {
        SplitPattern pattern;
        SplitBehavior behavior;
        bool invert;
    };
    std::vector<Step> m_steps;
};

} // namespace kvloupe
