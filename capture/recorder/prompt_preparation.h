// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/recorder/prompt_input.h"
#include "capture/tokenizer/chat_template.h"
#include "capture/tokenizer/tokenizer.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

struct ModelConfig;

/// How a text becomes a prompt.
struct PromptRules {
    enum class Spans { Auto, None, Given };

    bool chat = false; ///< texts become user messages of the chat template
    Spans spans = Spans::Auto;
    std::string shotSeparator; ///< PCRE2 pattern, empty = the auto rule
};

/// A prompt ready to run.
struct PreparedPrompt {
    PromptInput input;
    std::string text; ///< as the tokens decode
    std::vector<std::int32_t> ids;
    std::vector<std::array<std::int64_t, 2>> offsets;
    std::vector<std::string> pieces;
    std::vector<Span> spans; ///< over tokens
    std::string sha256; ///< of the text
};

/// Text and byte ranges of a run of tokens, as a recording stores them: `offsets` cover `text` without gaps. Bytes that
/// are no UTF-8 (a character cut by the end of the run) are replaced by '?', so that the text stays valid and offsets
/// stay true.
struct TokenText {
    std::string text;
    std::vector<std::array<std::int64_t, 2>> offsets;
    std::vector<std::string> pieces;
};
TokenText tokenText(const Tokenizer& tokenizer, std::span<const std::int32_t> ids);

/// Applies the chat template where one is asked for, tokenizes, finds spans. A plain text begins with what the
/// tokenizer puts before every text (Llama: a beginning-of-sequence token; SmolLM2, Qwen: nothing); ids are taken as
/// they are. Without a tokenizer only prompts of token ids can be prepared. Throws PromptError naming the prompt for an
/// empty one and for ids outside the vocabulary.
PreparedPrompt preparePrompt(const PromptInput& input, const Tokenizer* tokenizer,
    const std::optional<ChatTemplate>& chat, const PromptRules& rules, std::int64_t vocabSize);

/// Throws PromptError naming the prompt unless it and `generate` tokens fit into the context of the model and it can
/// grow by them.
void requireRoom(const PreparedPrompt& prompt, std::int64_t generate, const ModelConfig& config);

} // namespace kvloupe
