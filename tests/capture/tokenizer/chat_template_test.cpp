// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/chat_template.h"
#include "capture/tokenizer/tokenizer.h"
#include "tests/capture/tokenizer/tokenizer_reference.h"
#include "tests/support/test_model.h"

#include <fmt/chrono.h>
#include <gtest/gtest.h>

#include <ctime>

namespace kvloupe {
namespace {

constexpr const char* plainChatMl = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
                                    "message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}"
                                    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

TEST(ChatTemplate, GivesWhatTransformersGivesForTheModelsOwnTemplate)
{
    const auto reference = tokenizerReference();
    const auto chat = ChatTemplate::recognise(reference["chat_template"].get<std::string>());
    EXPECT_EQ(chat.name(), "chatml");
    EXPECT_EQ(chat.defaultSystemMessage(), "You are a helpful AI assistant named SmolLM, trained by Hugging Face");
    ASSERT_EQ(reference["chat"].size(), 10u);
    for (const auto& item : reference["chat"]) {
        std::vector<ChatMessage> messages;
        for (const auto& message : item["messages"])
            messages.push_back({message["role"], message["content"]});
        EXPECT_EQ(chat.apply(messages, item["prompt"].get<bool>()), item["text"].get<std::string>());
    }
}

/// chat_reference.json; its maker script beside it explains the fields.
nlohmann::json chatReference()
{
    std::ifstream file(KVLOUPE_TEST_DATA "/chat_reference.json");
    return nlohmann::json::parse(file);
}

TEST(ChatTemplate, GivesWhatTransformersGivesForEveryFamily)
{
    const nlohmann::json reference = chatReference();
    ASSERT_EQ(reference.size(), 13u);
    const std::string today = fmt::format("{:%d %b %Y}", fmt::localtime(std::time(nullptr)));
    for (const auto& [name, family] : reference.items()) {
        SCOPED_TRACE(name);
        const auto chat = ChatTemplate::recognise(family["template"].get<std::string>());
        ASSERT_EQ(family["cases"].size(), 22u);
        for (const auto& item : family["cases"]) {
            std::vector<ChatMessage> messages;
            for (const auto& message : item["messages"])
                messages.push_back({message["role"], message["content"]});
            const bool prompt = item["prompt"].get<bool>();
            if (item["text"].is_null()) {
                EXPECT_THROW(chat.apply(messages, prompt), TokenizerError) << item["messages"].dump();
                continue;
            }
            auto expected = item["text"].get<std::string>();
            constexpr std::string_view day = "@TODAY@";
            if (const std::size_t at = expected.find(day); at != std::string::npos)
                expected.replace(at, day.size(), today);
            EXPECT_EQ(chat.apply(messages, prompt), expected) << item["messages"].dump();
        }
    }
}

TEST(ChatTemplate, IsNotTakenForAFamilyThatItDiffersFrom)
{
    const nlohmann::json reference = chatReference();
    const auto changed = [&](const char* family, std::string_view from, std::string_view to) {
        auto text = reference[family]["template"].get<std::string>();
        const std::size_t at = text.rfind(from);
        EXPECT_NE(at, std::string::npos) << from;
        return text.replace(at, from.size(), to);
    };
    for (const std::string& jinja :
        {changed("llama-2", "' [/INST]'", "'[/INST]'"), changed("llama-3", "<|eot_id|>", "<|end|>"),
            changed("llama-3.1", "2023", "2024"), changed("mistral-v0.2", "eos_token", "'</s>'"),
            changed("qwen-3", "<think>\\n' + reasoning", "' + reasoning"),
            changed("phi-3", "{% else %}{{ eos_token }}", ""),
            changed("gemma-3", "message['content'] | trim", "message['content']"),
            changed("deepseek-r1", "<think>\\n'}}", "<thought>'}}")})
        EXPECT_THROW(ChatTemplate::recognise(jinja), TokenizerError) << jinja.substr(0, 200);
}

TEST(ChatTemplate, IsTheOneInTheModelFile)
{
    KVLOUPE_SKIP_WITHOUT_TEST_MODEL();
    EXPECT_EQ(
        Tokenizer::open(testModelPath())->chatTemplate(), tokenizerReference()["chat_template"].get<std::string>());
}

TEST(ChatTemplate, HasNoDefaultSystemMessageInPlainChatMl)
{
    const auto chat = ChatTemplate::recognise(plainChatMl);
    const std::vector<ChatMessage> messages = {{"user", "Hi"}};
    EXPECT_EQ(chat.apply(messages, true), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    EXPECT_EQ(chat.apply({}, false), "");
}

TEST(ChatTemplate, IsRecognisedInOtherSpellings)
{
    const char* const spaced
        = "{%- for message in messages -%}\n    {{- \"<|im_start|>\" + message.role + \"\\n\" + "
          "message.content + \"<|im_end|>\\n\" -}}\n{%- endfor -%}\n"
          "{%- if add_generation_prompt -%}\n    {{- '<|im_start|>' + 'assistant\\n' -}}\n{%- endif -%}";
    EXPECT_EQ(ChatTemplate::recognise(spaced).name(), "chatml");
}

TEST(ChatTemplate, IsRefusedWhenItIsNotKnown)
{
    std::string llama = "{% for message in messages %}{{'<|start_header_id|>' + message['role']}}{% endfor %}";
    std::string textOutside = plainChatMl + std::string("\nend");
    std::string otherMarker = plainChatMl;
    otherMarker.replace(otherMarker.find("im_end"), 6, "im_sep");
    for (const std::string& jinja :
        {llama, textOutside, otherMarker, std::string("{% for"), std::string(100000, 'x')}) {
        try {
            ChatTemplate::recognise(jinja);
            ADD_FAILURE() << jinja.substr(0, 100);
        } catch (const TokenizerError& error) {
            EXPECT_NE(std::string(error.what()).find("known: ChatML, DeepSeek-R1, Gemma 3"), std::string::npos);
        }
    }
    EXPECT_THROW(ChatTemplate::recognise(""), TokenizerError);
}

} // namespace
} // namespace kvloupe
