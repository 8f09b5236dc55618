// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/chat_families.h"

#include "capture/tokenizer/tokenizer_error.h"
#include "capture/tokenizer/utf8_text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <initializer_list>

namespace kvloupe {

namespace {

using Messages = std::span<const ChatMessage>;

/// Python's str.strip.
std::string_view stripped(std::string_view text)
{
    const auto isBlank = [](char32_t code) { return isWhiteSpace(code) || (code >= 0x1c && code <= 0x1f); };
    while (!text.empty() && isBlank(firstCharacter(text).code))
        text.remove_prefix(characterLength(text));
    while (!text.empty()) {
        const std::size_t last = previousCharacter(text, text.size());
        if (!isBlank(firstCharacter(text.substr(last)).code))
            break;
        text = text.substr(0, last);
    }
    return text;
}

std::string_view withoutLeading(std::string_view text, char c)
{
    return text.substr(std::min(text.find_first_not_of(c), text.size()));
}

std::string_view withoutTrailing(std::string_view text, char c)
{
    return text.substr(0, text.find_last_not_of(c) + 1);
}

bool beginsWithSystem(Messages messages)
{
    return !messages.empty() && messages.front().role == "system";
}

void expectTurn(const ChatMessage& message, std::size_t turn)
{
    if ((message.role == "user") != (turn % 2 == 0))
        throw TokenizerError(fmt::format(
            "message {} is of role \"{}\": the model's chat template wants turns of user and assistant in alternation",
            turn + 1, message.role));
}

std::string llama2(Messages messages, bool)
{
    const bool hasSystem = beginsWithSystem(messages);
    const std::string system
        = hasSystem ? fmt::format("<<SYS>>\n{}\n<</SYS>>\n\n", messages.front().content) : std::string();
    std::string text;
    std::size_t turn = 0;
    for (const ChatMessage& message : messages.subspan(hasSystem ? 1 : 0)) {
        expectTurn(message, turn);
        const std::string content = (turn++ == 0 ? system : std::string()) + message.content;
        if (message.role == "user")
            text += fmt::format("<s>[INST] {} [/INST]", stripped(content));
        else if (message.role == "assistant")
            text += fmt::format(" {} </s>", stripped(content));
    }
    return text;
}

[[noreturn]] void refuseRole(const ChatMessage& message)
{
    throw TokenizerError(
        fmt::format("the role \"{}\" is not one that the model's chat template knows in this place", message.role));
}

/// v0.1 puts a space behind an answer.
std::string mistral(Messages messages, std::string_view afterAnswer)
{
    std::string text = "<s>";
    for (std::size_t turn = 0; turn < messages.size(); ++turn) {
        const ChatMessage& message = messages[turn];
        expectTurn(message, turn);
        if (message.role == "user")
            text += fmt::format("[INST] {} [/INST]", message.content);
        else if (message.role == "assistant")
            text += fmt::format("{}</s>{}", message.content, afterAnswer);
        else
            refuseRole(message);
    }
    return text;
}

/// The system message goes into the last turn of the user.
std::string mistralV3(Messages messages, bool)
{
    const bool hasSystem = beginsWithSystem(messages);
    const Messages turns = messages.subspan(hasSystem ? 1 : 0);
    std::string text = "<s>";
    for (std::size_t turn = 0; turn < turns.size(); ++turn) {
        const ChatMessage& message = turns[turn];
        expectTurn(message, turn);
        const bool takesSystem = hasSystem && turn + 1 == turns.size();
        if (message.role == "user")
            text += fmt::format("[INST] {}{}{}[/INST]", takesSystem ? messages.front().content : "",
                takesSystem ? "\n\n" : "", message.content);
        else if (message.role == "assistant")
            text += fmt::format(" {}</s>", stripped(message.content));
        else
            refuseRole(message);
    }
    return text;
}

std::string llama3Turn(std::string_view role, std::string_view content)
{
    return fmt::format("<|start_header_id|>{}<|end_header_id|>\n\n{}<|eot_id|>", role, content);
}

std::string llama3Turns(Messages messages, bool addGenerationPrompt)
{
    std::string text;
    for (const ChatMessage& message : messages)
        text += llama3Turn(message.role, stripped(message.content));
    if (addGenerationPrompt)
        text += "<|start_header_id|>assistant<|end_header_id|>\n\n";
    return text;
}

std::string llama3(Messages messages, bool addGenerationPrompt)
{
    return (messages.empty() ? "" : "<|begin_of_text|>") + llama3Turns(messages, addGenerationPrompt);
}

/// 3.1 to 3.3: a system message that names a date comes before every conversation.
std::string llama31(Messages messages, bool addGenerationPrompt, std::string_view date)
{
    const bool hasSystem = beginsWithSystem(messages);
    const std::string_view system = hasSystem ? stripped(messages.front().content) : std::string_view();
    const std::string header = fmt::format("Cutting Knowledge Date: December 2023\nToday Date: {}\n\n{}", date, system);
    return "<|begin_of_text|>" + llama3Turn("system", header)
        + llama3Turns(messages.subspan(hasSystem ? 1 : 0), addGenerationPrompt);
}

/// strftime_now("%d %b %Y") of transformers.
std::string today()
{
    return fmt::format("{:%d %b %Y}", fmt::localtime(std::time(nullptr)));
}

std::string chatMlTurn(std::string_view role, std::string_view content)
{
    return fmt::format("<|im_start|>{}\n{}<|im_end|>\n", role, content);
}

std::string qwen25(Messages messages, bool addGenerationPrompt, const std::string& defaultSystem)
{
    std::string text = beginsWithSystem(messages) ? "" : chatMlTurn("system", defaultSystem);
    for (const ChatMessage& message : messages)
        if (message.role == "system" || message.role == "user" || message.role == "assistant")
            text += chatMlTurn(message.role, message.content);
    if (addGenerationPrompt)
        text += "<|im_start|>assistant\n";
    return text;
}

/// Thoughts stay only in answers behind the user's last question.
std::string qwen3(Messages messages, bool addGenerationPrompt)
{
    const auto isQuestion = [](const ChatMessage& message) {
        return message.role == "user"
            && !(message.content.starts_with("<tool_response>") && message.content.ends_with("</tool_response>"));
    };
    std::size_t lastQuestion = messages.empty() ? 0 : messages.size() - 1;
    for (std::size_t i = messages.size(); i > 0; --i)
        if (isQuestion(messages[i - 1])) {
            lastQuestion = i - 1;
            break;
        }
    constexpr std::string_view thinkEnd = "</think>";
    constexpr std::string_view thinkBegin = "<think>";
    std::string text;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const ChatMessage& message = messages[i];
        std::string_view content = message.content;
        if (message.role == "user" || message.role == "system")
            text += chatMlTurn(message.role, content);
        if (message.role != "assistant")
            continue;
        std::string_view thought;
        if (content.find(thinkEnd) != std::string_view::npos) {
            thought = withoutTrailing(content.substr(0, content.find(thinkEnd)), '\n');
            if (const std::size_t begin = thought.rfind(thinkBegin); begin != std::string_view::npos)
                thought.remove_prefix(begin + thinkBegin.size());
            thought = withoutLeading(thought, '\n');
            content = withoutLeading(content.substr(content.rfind(thinkEnd) + thinkEnd.size()), '\n');
        }
        if (i > lastQuestion && (i + 1 == messages.size() || !thought.empty()))
            text += chatMlTurn("assistant",
                fmt::format("<think>\n{}\n</think>\n\n{}", withoutLeading(withoutTrailing(thought, '\n'), '\n'),
                    withoutLeading(content, '\n')));
        else
            text += chatMlTurn("assistant", content);
    }
    if (addGenerationPrompt)
        text += "<|im_start|>assistant\n";
    return text;
}

std::string deepSeekR1(Messages messages, bool addGenerationPrompt, std::string_view answerBegin)
{
    constexpr std::string_view thinkEnd = "</think>";
    std::string text = "<｜begin▁of▁sentence｜>";
    for (std::size_t i = messages.size(); i > 0; --i)
        if (messages[i - 1].role == "system") {
            text += messages[i - 1].content;
            break;
        }
    for (const ChatMessage& message : messages) {
        std::string_view content = message.content;
        if (message.role == "user")
            text += fmt::format("<｜User｜>{}", content);
        if (message.role != "assistant")
            continue;
        if (const std::size_t end = content.rfind(thinkEnd); end != std::string_view::npos)
            content.remove_prefix(end + thinkEnd.size());
        text += fmt::format("<｜Assistant｜>{}<｜end▁of▁sentence｜>", content);
    }
    if (addGenerationPrompt)
        text += answerBegin;
    return text;
}

std::string phi3(Messages messages, bool addGenerationPrompt)
{
    std::string text;
    for (const ChatMessage& message : messages)
        if (message.role == "system" || message.role == "user" || message.role == "assistant")
            text += fmt::format("<|{}|>\n{}<|end|>\n", message.role, message.content);
    return text + (addGenerationPrompt ? "<|assistant|>\n" : "<|endoftext|>");
}

std::string gemma3(Messages messages, bool addGenerationPrompt)
{
    const bool hasSystem = beginsWithSystem(messages);
    const std::string system = hasSystem ? messages.front().content + "\n\n" : std::string();
    std::string text = "<bos>";
    std::size_t turn = 0;
    for (const ChatMessage& message : messages.subspan(hasSystem ? 1 : 0)) {
        expectTurn(message, turn);
        text += fmt::format("<start_of_turn>{}\n{}{}<end_of_turn>\n",
            message.role == "assistant" ? "model" : message.role, turn++ == 0 ? system : "", stripped(message.content));
    }
    if (addGenerationPrompt)
        text += "<start_of_turn>model\n";
    return text;
}

/// The text between two others, the first that is followed by the second.
std::optional<std::string> between(const std::string& text, std::string_view before, std::string_view after)
{
    const std::size_t at = text.find(before);
    if (at == std::string::npos)
        return std::nullopt;
    const std::size_t begin = at + before.size();
    const std::size_t end = text.find(after, begin);
    return end == std::string::npos ? std::nullopt : std::optional(text.substr(begin, end - begin));
}

} // namespace

std::optional<KnownChat> recogniseChatFamily(const std::string& tags)
{
    const auto hasAll = [&](std::initializer_list<std::string_view> parts) {
        return std::ranges::all_of(parts, [&](std::string_view part) { return tags.find(part) != std::string::npos; });
    };
    constexpr std::string_view llama3Message
        = "'<|start_header_id|>'+message['role']+'<|end_header_id|>\n\n'+message['content']|trim+'<|eot_id|>'";
    constexpr std::string_view chatMlMessage = "'<|im_start|>'+message['role']+'\n'+message['content']+'<|im_end|>\n'";

    if (hasAll({"'<<SYS>>\n'+system_message+'\n<</SYS>>\n\n'+message['content']",
            "bos_token+'[INST] '+content.strip()+' [/INST]'", "' '+content.strip()+' '+eos_token"}))
        return KnownChat{"llama-2", llama2, {}};
    if (hasAll({"'[INST] '+system_message+'\n\n'+message['content']+'[/INST]'",
            "'[INST] '+message['content']+'[/INST]'", "' '+message['content']|trim+eos_token"}))
        return KnownChat{"mistral-v3", mistralV3, {}};
    if (hasAll({"{{bos_token}}", "{{'[INST] '+message['content']+' [/INST]'}}", "{{message['content']+eos_token"})) {
        const bool isV1 = hasAll({"{{message['content']+eos_token+' '}}"});
        if (isV1 || hasAll({"{{message['content']+eos_token}}"}))
            return KnownChat{
                "mistral", [isV1](Messages messages, bool) { return mistral(messages, isV1 ? " " : ""); }, {}};
    }
    if (hasAll({llama3Message, "{{'Cutting Knowledge Date: December 2023\n'}}", "{{'Today Date: '+date_string+'\n\n'}}",
            "date_string='26 Jul 2024'"})) {
        const std::string date = hasAll({"date_string=strftime_now('%d %b %Y')"}) ? today() : "26 Jul 2024";
        return KnownChat{
            "llama-3.1", [date](Messages messages, bool prompt) { return llama31(messages, prompt, date); }, {}};
    }
    if (hasAll({llama3Message, "content=bos_token+content"}) && !hasAll({"date_string"}))
        return KnownChat{"llama-3", llama3, {}};
    if (hasAll({"'<|im_start|>'+message['role']+'\n<think>\n'+reasoning_content.strip('\n')+'\n</think>\n\n'"
                "+content.lstrip('\n')",
            "ns.last_query_index", "'<|im_start|>'+message['role']+'\n'+content+'<|im_end|>\n'"}))
        return KnownChat{"qwen-3", qwen3, {}};
    if (hasAll({"{%iftools%}", chatMlMessage, "'<|im_start|>system\n'+messages[0]['content']+'<|im_end|>\n'"})) {
        const auto system = between(tags, "{%else%}{{'<|im_start|>system\n", "<|im_end|>\n'}}{%endif%}{%endif%}");
        if (system && system->find('\'') == std::string::npos)
            return KnownChat{"qwen-2.5",
                [system](Messages messages, bool prompt) { return qwen25(messages, prompt, *system); }, system};
    }
    if (hasAll({"'<｜User｜>'+message['content']", "'<｜Assistant｜>'+content+'<｜end▁of▁sentence｜>'",
            "{{bos_token}}{{ns.system_prompt}}"})) {
        constexpr std::string_view answer = "<｜Assistant｜>";
        for (const std::string_view begin : {std::string_view("<think>\n"), std::string_view()})
            if (const std::string whole = fmt::format("{}{}", answer, begin); hasAll({"{{'" + whole + "'}}"}))
                return KnownChat{"deepseek-r1",
                    [whole](Messages messages, bool prompt) { return deepSeekR1(messages, prompt, whole); }, {}};
    }
    if (hasAll({"'<|system|>\n'+message['content']+'<|end|>\n'", "'<|user|>\n'+message['content']+'<|end|>\n'",
            "'<|assistant|>\n'+message['content']+'<|end|>\n'", "{{'<|assistant|>\n'}}{%else%}{{eos_token}}"}))
        return KnownChat{"phi-3", phi3, {}};
    if (hasAll({"'<start_of_turn>'+role+'\n'+(first_user_prefixifloop.firstelse'')", "{{message['content']|trim}}",
            "{{'<end_of_turn>\n'}}", "{{'<start_of_turn>model\n'}}"}))
        return KnownChat{"gemma-3", gemma3, {}};
    return std::nullopt;
}

} // namespace kvloupe
