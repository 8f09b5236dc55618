// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/recorder/prompt_preparation.h"

#include "capture/checkpoint/model_config.h"
#include "capture/checkpoint/sha256.h"
#include "capture/tokenizer/utf8_text.h"
#include "core/prompt/span_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace kvloupe {

namespace {

std::string replaceInvalidBytes(std::string text)
{
    std::replace(text.begin(), text.end(), '\0', '?'); // a NUL would end the string in the file
    for (std::size_t at = firstInvalidUtf8(text); at < text.size();
         at += firstInvalidUtf8(std::string_view(text).substr(at))) {
        text[at] = '?';
    }
    return text;
}

/// Byte spans of the prompt: those that came with it, or what the rule finds.
std::vector<Span> byteSpans(const PromptInput& input, const std::string& text, const PromptRules& rules)
{
    if (rules.spans == PromptRules::Spans::None) {
        return {};
    }
    // Spans are about what the user wrote; the chat template may have put something around it.
    const std::string& own = input.messages.empty() ? input.text : input.messages.back().content;
    const std::string& written = own.empty() ? text : own;
    const std::size_t shift = text.rfind(written);
    if (shift == std::string::npos) {
        if (!input.spans.empty()) {
            throw PromptError(
                fmt::format("prompt {}: spans: the tokens do not give back the text they refer to", input.id));
        }
        return detectShots(text);
    }
    std::vector<Span> spans = input.spans;
    if (spans.empty()) {
        spans = rules.shotSeparator.empty() ? detectShots(written) : splitShots(written, rules.shotSeparator);
    }
    for (Span& span : spans) {
        if (span.end > static_cast<std::int64_t>(written.size())) {
            throw PromptError(fmt::format("prompt {}: spans: found end {}, expected at most the {} bytes of the text",
                input.id, span.end, written.size()));
        }
        span.begin += static_cast<std::int64_t>(shift);
        span.end += static_cast<std::int64_t>(shift);
    }
    return spans;
}

/// A plain text gets what the post-processor adds, as a call of transformers' tokenizer gives it; a chat template
/// writes out what its turns begin with.
std::vector<std::int32_t> promptIds(const PromptInput& input, const Tokenizer& tokenizer,
    const std::optional<ChatTemplate>& chat, const PromptRules& rules)
{
    if (input.messages.empty() && !rules.chat) {
        return input.text.empty() ? std::vector<std::int32_t>()
                                  : tokenizer.encode(input.text, {.addTemplate = true}).ids;
    }
    if (!chat) {
        throw PromptError(fmt::format("prompt {}: it holds messages, but the model has no chat template", input.id));
    }
    const std::vector<ChatMessage> single{{"user", input.text}};
    const std::span<const ChatMessage> messages
        = input.messages.empty() ? std::span(single) : std::span(input.messages);
    return tokenizer.encode(chat->apply(messages, true)).ids;
}

void addSpecialSpans(PreparedPrompt& prompt, const Tokenizer& tokenizer)
{
    if (!prompt.ids.empty() && prompt.ids.front() == tokenizer.bosId()) {
        prompt.spans.insert(prompt.spans.begin(), Span{0, 1, SpanKind::Bos, -1, "bos"});
    }
}

} // namespace

TokenText tokenText(const Tokenizer& tokenizer, std::span<const std::int32_t> ids)
{
    TokenText result;
    for (const std::int32_t id : ids) {
        const std::string bytes = tokenizer.bytes(id);
        const auto begin = static_cast<std::int64_t>(result.text.size());
        result.text += bytes;
        result.offsets.push_back({begin, static_cast<std::int64_t>(result.text.size())});
        result.pieces.push_back(tokenizer.piece(id));
    }
    result.text = replaceInvalidBytes(std::move(result.text));
    return result;
}

PreparedPrompt preparePrompt(const PromptInput& input, const Tokenizer* tokenizer,
    const std::optional<ChatTemplate>& chat, const PromptRules& rules, std::int64_t vocabSize)
{
    PreparedPrompt prompt;
    prompt.input = input;
    if (!input.ids.empty()) {
        prompt.ids = input.ids;
    } else {
        if (tokenizer == nullptr) {
            throw PromptError(
                fmt::format("prompt {}: the model has no tokenizer, expected token ids (--ids)", input.id));
        }
        prompt.ids = promptIds(input, *tokenizer, chat, rules);
    }
    if (prompt.ids.empty()) {
        throw PromptError(fmt::format("prompt {}: it is empty, expected at least one token", input.id));
    }
    const auto outside = std::find_if(
        prompt.ids.begin(), prompt.ids.end(), [&](std::int32_t id) { return id < 0 || id >= vocabSize; });
    if (outside != prompt.ids.end()) {
        throw PromptError(fmt::format("prompt {}: token id {} at position {}, expected 0 to {}", input.id, *outside,
            outside - prompt.ids.begin(), vocabSize - 1));
    }
    if (tokenizer != nullptr) {
        TokenText decoded = tokenText(*tokenizer, prompt.ids);
        if (input.ids.empty()) {
            prompt.spans = spansOverTokens(byteSpans(input, decoded.text, rules), decoded.offsets, decoded.text);
        } else {
            prompt.spans = input.spans.empty()
                ? spansOverTokens(byteSpans(input, decoded.text, rules), decoded.offsets, decoded.text)
                : input.spans;
        }
        prompt.text = std::move(decoded.text);
        prompt.offsets = std::move(decoded.offsets);
        prompt.pieces = std::move(decoded.pieces);
        addSpecialSpans(prompt, *tokenizer);
    } else {
        prompt.offsets.assign(prompt.ids.size(), {0, 0});
        prompt.pieces.reserve(prompt.ids.size());
        for (const std::int32_t id : prompt.ids) {
            prompt.pieces.push_back(fmt::format("<{}>", id));
        }
        prompt.spans = input.spans;
    }
    std::string hashed = prompt.text;
    if (hashed.empty()) {
        hashed = fmt::format("{}", fmt::join(prompt.ids, " "));
    }
    prompt.sha256 = sha256Hex(hashed);
    return prompt;
}

void requireRoom(const PreparedPrompt& prompt, std::int64_t generate, const ModelConfig& config)
{
    const std::int64_t tokens = std::ssize(prompt.ids);
    if (tokens + generate > config.maxPositions) {
        throw PromptError(fmt::format("prompt {}: {} tokens and {} to generate, but the context of the model holds {}",
            prompt.input.id, tokens, generate, config.maxPositions));
    }
    if (const std::string problem = config.growthProblem(tokens, tokens + generate); !problem.empty())
        throw PromptError(fmt::format("prompt {}: {}", prompt.input.id, problem));
}

} // namespace kvloupe
