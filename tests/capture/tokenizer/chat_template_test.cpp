// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/chat_template.h"
#include "capture/tokenizer/tokenizer.h"
#include "tests/capture/tokenizer/tokenizer_reference.h"
#include "tests/support/test_model.h"

#include <gtest/gtest.h>

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
            EXPECT_NE(std::string(error.what()).find("known: ChatML"), std::string::npos);
        }
    }
    EXPECT_THROW(ChatTemplate::recognise(""), TokenizerError);
}

} // namespace
} // namespace kvloupe
