// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/chat_template.h"

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/tokenizer/chat_families.h"
#include "capture/tokenizer/tokenizer_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace kvloupe {

namespace {

constexpr std::size_t longestTemplate = 65536;

[[noreturn]] void refuse(std::string_view jinja)
{
    throw TokenizerError(
        fmt::format("the chat template {} is not one we know (known: {}); give the prompt as plain text with the "
                    "model's markers written out",
            inQuotes(jinja), chatFamilyNames));
}

/// A piece of a Jinja template: text as it is, or a tag in canonical spelling ("{%formessageinmessages%}").
struct Part {
    bool isTag = false;
    std::string text;
};

/// The inside of a tag without blanks outside of string literals, literals in single quotes with escapes resolved and
/// neighbours joined, members as subscripts.
std::string canonicalTag(std::string_view tag)
{
    std::string result;
    char quote = 0;
    for (std::size_t i = 0; i < tag.size(); ++i) {
        const char c = tag[i];
        if (quote != 0 && c == '\\' && i + 1 < tag.size()) {
            ++i;
            result += tag[i] == 'n' ? '\n' : tag[i];
        } else if (quote != 0) {
            result += c == quote ? '\'' : c;
            quote = c == quote ? '\0' : quote;
        } else if (c == '\'' || c == '"') {
            quote = c;
            if (result.ends_with("'+"))
                result.resize(result.size() - 2); // 'a' + 'b' is one literal
            else
                result += '\'';
        } else if (c != ' ' && c != '\n' && c != '\t') {
            result += c;
        }
    }
    for (const std::string_view member : {"role", "content"}) {
        const std::string dotted = fmt::format("message.{}", member);
        const std::string subscript = fmt::format("message['{}']", member);
        for (std::size_t at = result.find(dotted); at != std::string::npos; at = result.find(dotted, at))
            result.replace(at, dotted.size(), subscript);
    }
    return result;
}

constexpr std::string_view blanks = " \t\r\n";

void trimBack(std::string& text)
{
    const std::size_t last = text.find_last_not_of(blanks);
    text.resize(last == std::string::npos ? 0 : last + 1);
}

/// Jinja's lstrip_blocks, which transformers switches on: blanks between the beginning of a line and a block go.
void trimLine(std::string& text)
{
    const std::size_t last = text.find_last_not_of(" \t");
    if (last == std::string::npos || text[last] == '\n')
        text.resize(last == std::string::npos ? 0 : last + 1);
}

/// Where the first tag or comment begins.
std::size_t tagBegin(std::string_view text)
{
    return std::min({text.find("{%"), text.find("{{"), text.find("{#")});
}

std::vector<Part> parse(std::string_view jinja)
{
    std::vector<Part> parts;
    std::string_view rest = jinja;
    while (!rest.empty()) {
        const std::size_t open = tagBegin(rest);
        if (open == std::string_view::npos) {
            parts.push_back({false, std::string(rest)});
            break;
        }
        const char kind = rest[open + 1];
        const bool isOutput = kind == '{';
        const std::size_t close = rest.find(isOutput ? "}}" : kind == '%' ? "%}" : "#}", open + 2);
        if (close == std::string_view::npos)
            refuse(jinja);
        std::string_view inside = rest.substr(open + 2, close - open - 2);
        std::string text(rest.substr(0, open));
        if (inside.starts_with('-')) {
            inside.remove_prefix(1);
            trimBack(text);
        } else if (!isOutput) {
            trimLine(text);
        }
        if (!text.empty())
            parts.push_back({false, std::move(text)});
        rest.remove_prefix(close + 2);
        if (inside.ends_with('-')) {
            inside.remove_suffix(1);
            rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
        } else if (!isOutput && rest.starts_with('\n')) {
            rest.remove_prefix(1); // trim_blocks
        }
        if (kind != '#')
            parts.push_back(
                {true, fmt::format("{}{}{}", isOutput ? "{{" : "{%", canonicalTag(inside), isOutput ? "}}" : "%}")});
    }
    return parts;
}

/// Blanks at the end of a template, where the last tag takes them along or Jinja drops the last line break.
bool isLastBreak(const Part& part, const std::vector<Part>& parts)
{
    return &part == &parts.back() && part.text == "\n";
}

} // namespace

ChatTemplate ChatTemplate::recognise(std::string_view jinja)
{
    if (jinja.empty())
        throw TokenizerError("the model comes with no chat template");
    if (jinja.size() > longestTemplate)
        refuse(jinja);
    std::string canonical;
    const std::vector<Part> parts = parse(jinja);
    for (const Part& part : parts) {
        if (part.isTag)
            canonical += part.text;
        else if (!isLastBreak(part, parts))
            refuse(jinja); // text outside of tags would be written for every conversation
    }
    ChatTemplate result;
    if (auto family = recogniseChatFamily(canonical)) {
        result.m_name = family->name;
        result.m_render = std::move(family->render);
        result.m_defaultSystemMessage = std::move(family->defaultSystemMessage);
        return result;
    }

    constexpr std::string_view loop = "{%formessageinmessages%}";
    constexpr std::string_view defaultBegin = "{%ifloop.firstandmessages[0]['role']!='system'%}{{'<|im_start|>system\n";
    constexpr std::string_view defaultEnd = "<|im_end|>\n'}}{%endif%}";
    constexpr std::string_view body
        = "{{'<|im_start|>'+message['role']+'\n'+message['content']+'<|im_end|>\n'}}{%endfor%}"
          "{%ifadd_generation_prompt%}{{'<|im_start|>assistant\n'}}{%endif%}";
    std::string_view rest = canonical;
    if (!rest.starts_with(loop) || !rest.ends_with(body) || rest.size() < loop.size() + body.size())
        refuse(jinja);
    rest.remove_prefix(loop.size());
    rest.remove_suffix(body.size());
    result.m_name = "chatml";
    if (!rest.empty()) {
        if (!rest.starts_with(defaultBegin) || !rest.ends_with(defaultEnd)
            || rest.size() < defaultBegin.size() + defaultEnd.size())
            refuse(jinja);
        rest.remove_prefix(defaultBegin.size());
        rest.remove_suffix(defaultEnd.size());
        if (rest.find_first_of("'") != std::string_view::npos)
            refuse(jinja); // the literal ends early, so this is another expression
        result.m_defaultSystemMessage = std::string(rest);
    }
    return result;
}

std::string ChatTemplate::apply(std::span<const ChatMessage> messages, bool addGenerationPrompt) const
{
    if (m_render)
        return m_render(messages, addGenerationPrompt);
    std::string text;
    if (m_defaultSystemMessage && !messages.empty() && messages.front().role != "system")
        text += fmt::format("<|im_start|>system\n{}<|im_end|>\n", *m_defaultSystemMessage);
    for (const ChatMessage& message : messages)
        text += fmt::format("<|im_start|>{}\n{}<|im_end|>\n", message.role, message.content);
    if (addGenerationPrompt)
        text += "<|im_start|>assistant\n";
    return text;
}

} // namespace kvloupe
