// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/added_tokens.h"
#include "capture/tokenizer/models/token_model.h"
#include "capture/tokenizer/normalizers/normalizer.h"
#include "capture/tokenizer/pre_tokenizers/pre_tokenizer.h"
#include "capture/tokenizer/token_decoder.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace kvloupe {

/// What a tokenizer is made of, whichever file it came from.
struct TokenizerDefinition {
    std::string where; ///< the file, for messages
    std::string kind; ///< for people and recordings: "bpe smollm (gguf)"
    std::string sha256;
    std::vector<std::string> entries; ///< by id, of the model and the added tokens; empty where an id has no token
    std::vector<AddedToken> addedTokens;
    Normalizers normalizers;
    PreTokenizers preTokenizers;
    std::unique_ptr<const TokenModel> model;
    TokenDecoder decoder;
    bool trimsOffsets = false; ///< offsets leave out the spaces at the ends of a token
    bool keepsFirstSpace = false; ///< but not those of the first token
    std::vector<std::int32_t> templatePrefix, templateSuffix;
    std::int32_t bosId = -1;
    std::vector<std::int32_t> eosIds;
    std::string chatTemplate;
};

/// SentencePiece's mark for a space, "▁".
inline constexpr std::string_view spaceMark = "\u2581";

TokenizerDefinition definitionFromGguf(const std::filesystem::path& path);
/// tokenizer.json, with what tokenizer_config.json and chat_template.jinja beside it add.
TokenizerDefinition definitionFromJson(const std::filesystem::path& path);
/// tokenizer.model of SentencePiece, with the same.
TokenizerDefinition definitionFromSentencePiece(const std::filesystem::path& path);

/// Adds the ids and the chat template that tokenizer_config.json and chat_template.jinja in the folder name.
void readTokenizerConfig(const std::filesystem::path& folder, TokenizerDefinition& definition);

} // namespace kvloupe
