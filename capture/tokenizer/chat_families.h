// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/chat_template.h"

#include <functional>

namespace kvloupe {

/// Writes a conversation; the flag says whether the beginning of an answer is added.
using ChatRenderer = std::function<std::string(std::span<const ChatMessage>, bool)>;

/// A template that was recognised.
struct KnownChat {
    std::string_view name;
    ChatRenderer render;
    std::optional<std::string> defaultSystemMessage;
};

/// Recognises a template by the expressions with which a family writes its turns. `tags` are the tags of the template
/// in canonical spelling: no blanks outside of literals, single quotes, neighbouring literals joined.
std::optional<KnownChat> recogniseChatFamily(const std::string& tags);

/// The families, for messages.
inline constexpr std::string_view chatFamilyNames
    = "ChatML, DeepSeek-R1, Gemma 3, Llama 2, Llama 3 to 3.3, Mistral v0.1 to v0.3, Phi-3, Qwen 2 to 3";

} // namespace kvloupe
