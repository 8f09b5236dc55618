// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/normalizers/normalizer.h"
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// SentencePiece's precompiled character map: a double-array trie from short texts to the texts that replace them
/// (normalizer.cc of SentencePiece; the order of look-ups is that of Hugging Face's spm_precompiled).
class PrecompiledNormalizer final : public Normalizer {
public:
    /// `charsmap`: 4-byte length of the trie in bytes, the trie, replacements that end in a zero byte. Throws
    /// TokenizerError.
    PrecompiledNormalizer(std::string_view charsmap, const std::string& where);

    void apply(NormalizedText& text) const override;

private:
    std::optional<std::string_view> replacementOf(std::string_view part) const;

    std::vector<std::uint32_t> m_trie;
    std::string m_replacements;
};

} // namespace kvloupe
