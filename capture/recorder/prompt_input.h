// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/chat_template.h"
#include "core/error.h"
#include "core/prompt/span.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kvloupe {

class PromptError : public Error {
public:
    using Error::Error;
};

/// One prompt as the user gave it: exactly one of text, messages and ids is filled.
struct PromptInput {
    std::string id;
    std::string pairId;
    std::string task;
    std::int64_t seed = 0;
    std::string text;
    std::vector<ChatMessage> messages;
    std::vector<std::int32_t> ids;
    /// Over bytes of `text` (or of the last user message's content), or over tokens when given with ids.
    std::vector<Span> spans;
};

/// Reads a file whole; PromptError naming it if it cannot be read, is larger than 256 MiB or is not UTF-8.
std::string readPromptFile(const std::filesystem::path& file);

/// Reads prompts.jsonl: one object per line with `text` or `messages` (list of role, content), optional `id`,
/// `pair_id`, `task`, `seed` and `spans` (list of begin, end, kind, shot, label; bytes). Errors name the file, line and
/// field.
std::vector<PromptInput> readPromptLines(const std::filesystem::path& file);

/// Reads --ids: a JSON list of token ids, or a list of such lists.
std::vector<PromptInput> readTokenIds(const std::filesystem::path& file);

} // namespace kvloupe
