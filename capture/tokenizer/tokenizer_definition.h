// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/added_tokens.h"
#include "capture/tokenizer/byte_pair_merger.h"
#include "capture/tokenizer/pre_tokenizer.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace kvloupe {

/// What a byte-level BPE tokenizer is made of, whichever file it came from.
struct TokenizerDefinition {
    std::string where; ///< the file, for messages
    std::string kind; ///< for people and recordings: "bpe smollm (gguf)"
    std::string sha256;
    std::vector<std::string> vocabulary; ///< by id, in GPT-2's stand-ins for bytes; empty where an id has no token
    std::vector<BytePairMerger::Merge> merges; ///< best rank first
    std::vector<AddedToken> addedTokens;
    std::vector<SplitStep> splitSteps;
    bool composes = false; ///< text is normalised to NFC
    bool ignoresMerges = false; ///< a piece that is a vocabulary entry is never split
    std::int32_t unknownId = -1; ///< the token of bytes that have none; -1: they are left out
    bool trimsOffsets = false; ///< offsets leave out the spaces at the ends of a token
    bool keepsFirstSpace = false; ///< but not those of the first token
    std::vector<std::int32_t> templatePrefix, templateSuffix;
    std::int32_t bosId = -1;
    std::vector<std::int32_t> eosIds;
    std::string chatTemplate;
};

/// Looks up ids by vocabulary entry and resolves merges; shared by the readers.
class VocabularyIndex {
public:
    /// Throws TokenizerError for an entry that occurs twice.
    VocabularyIndex(const std::vector<std::string>& vocabulary, const std::string& where);

    std::int32_t find(std::string_view entry) const; ///< -1 if there is none
    /// Throws TokenizerError unless both parts and their concatenation are entries.
    BytePairMerger::Merge merge(std::string_view left, std::string_view right, std::size_t rank) const;

private:
    std::unordered_map<std::string_view, std::int32_t> m_ids;
    const std::string& m_where;
};

inline constexpr std::int64_t largestTokenId = (1 << 24) - 1;
inline constexpr std::size_t longestToken = 4096; ///< bytes

TokenizerDefinition definitionFromGguf(const std::filesystem::path& path);
/// tokenizer.json, with what tokenizer_config.json and chat_template.jinja beside it add.
TokenizerDefinition definitionFromJson(const std::filesystem::path& path);

} // namespace kvloupe
