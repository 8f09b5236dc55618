// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kvloupe {

struct ChatMessage {
    std::string role; ///< "system", "user", "assistant"
    std::string content;
};

/// The text a model expects around the messages of a conversation. We do not run Jinja: the template is recognised as
/// one of the families whose output we know, or refused.
class ChatTemplate {
public:
    /// Recognises ChatML, with or without a default system message (SmolLM2, Qwen 2), however its tags are spaced, and
    /// the templates of Llama 2 to 3.3, Mistral v0.1 to v0.3, Qwen 2.5 and 3, DeepSeek-R1, Phi-3 and Gemma 3. Throws
    /// TokenizerError for any other template and for an empty one.
    static ChatTemplate recognise(std::string_view jinja);

    /// What transformers' apply_chat_template gives for the same messages, as text with the
    /// beginning-of-sequence token written out. Throws TokenizerError where the template raises an exception: turns
    /// that do not alternate, a role that it does not know.
    std::string apply(std::span<const ChatMessage> messages, bool addGenerationPrompt) const;

    /// "chatml", "llama-3.1", ...
    std::string_view name() const { return m_name; }
    /// The system message that is put before a conversation that has none.
    const std::optional<std::string>& defaultSystemMessage() const { return m_defaultSystemMessage; }

private:
    std::string_view m_name;
    std::function<std::string(std::span<const ChatMessage>, bool)> m_render;
    std::optional<std::string> m_defaultSystemMessage;
};

} // namespace kvloupe
