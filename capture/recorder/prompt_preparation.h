// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/recorder/capture_session.h"
#include "capture/tokenizer/chat_template.h"
#include "capture/tokenizer/tokenizer.h"

#include <optional>
#include <span>

namespace kvloupe {

/// Text and byte ranges of a run of tokens, as a recording stores them: `offsets` cover `text` without gaps. Bytes that
/// are no UTF-8 (a character cut by the end of the run) are replaced by '?', so that the text stays valid and offsets
/// stay true.
struct TokenText {
    std::string text;
    std::vector<std::array<std::int64_t, 2>> offsets;
    std::vector<std::string> pieces;
};
TokenText tokenText(const Tokenizer& tokenizer, std::span<const std::int32_t> ids);

/// Applies the chat template where one is asked for, tokenizes, finds spans. Without a tokenizer only prompts of token
/// ids can be prepared. Throws PromptError naming the prompt for an empty one and for one of more than `maxPositions`
/// tokens.
PreparedPrompt preparePrompt(const PromptInput& input, const Tokenizer* tokenizer,
    const std::optional<ChatTemplate>& chat, const CaptureOptions& options, std::int64_t maxPositions,
    std::int64_t vocabSize);

} // namespace kvloupe
