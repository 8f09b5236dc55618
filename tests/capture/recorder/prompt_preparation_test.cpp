// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/recorder/prompt_preparation.h"

#include "capture/checkpoint/model_config.h"

#include "capture/tokenizer/byte_alphabet.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

namespace kvloupe {
namespace {

using testing::HasSubstr;

constexpr std::int64_t vocabulary = 49152;

const std::string shots = "Question: 1 + 1?\nAnswer: 2\n\nQuestion: 2 + 3?\nAnswer: 5\n\nQuestion: 4 + 4?\nAnswer:";

class PromptPreparation : public testing::Test {
protected:
    void SetUp() override
    {
        KVLOUPE_SKIP_WITHOUT_TEST_MODEL();
        tokenizer = Tokenizer::open(testModelPath());
        chat = ChatTemplate::recognise(tokenizer->chatTemplate());
    }

    PreparedPrompt prepare(const PromptInput& input, const PromptRules& rules = {}) const
    {
        return preparePrompt(input, tokenizer.get(), chat, rules, vocabulary);
    }

    static std::string covered(const PreparedPrompt& prompt, const Span& span)
    {
        const auto begin = prompt.offsets[static_cast<std::size_t>(span.begin)][0];
        const auto end = prompt.offsets[static_cast<std::size_t>(span.end - 1)][1];
        return prompt.text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    }

    static std::vector<std::string> shotTexts(const PreparedPrompt& prompt)
    {
        std::vector<std::string> texts;
        for (const Span& span : prompt.spans) {
            if (span.kind == SpanKind::Shot) {
                texts.push_back(covered(prompt, span));
            }
        }
        return texts;
    }

    std::unique_ptr<Tokenizer> tokenizer;
    std::optional<ChatTemplate> chat;
};

TEST_F(PromptPreparation, FindsTheSameShotsInsideAChatTemplateAsInThePlainText)
{
    PromptInput plain;
    plain.text = shots;
    PromptRules asChat;
    asChat.chat = true;
    const auto expected = shotTexts(prepare(plain));
    ASSERT_EQ(expected.size(), 2U);
    EXPECT_THAT(expected[0], HasSubstr("1 + 1?\nAnswer: 2"));
    const PreparedPrompt templated = prepare(plain, asChat);
    EXPECT_THAT(templated.text, HasSubstr("<|im_start|>user\n" + shots));
    EXPECT_EQ(shotTexts(templated), expected);
}

TEST_F(PromptPreparation, MovesGivenSpansToWhereTheTemplatePutsTheText)
{
    PromptInput input;
    input.messages = {{"system", "Be brief."}, {"user", "The code is 7419. Say it."}};
    input.spans = {{12, 16, SpanKind::Needle, -1, "code"}};
    const PreparedPrompt prompt = prepare(input);
    const auto needle = std::find_if(
        prompt.spans.begin(), prompt.spans.end(), [](const Span& span) { return span.kind == SpanKind::Needle; });
    ASSERT_NE(needle, prompt.spans.end());
    EXPECT_THAT(covered(prompt, *needle), HasSubstr("7419"));

    input.spans[0].end = 1000;
    EXPECT_THROW(prepare(input), PromptError);
}

TEST_F(PromptPreparation, OffsetsCoverTheTextWithoutGaps)
{
    PromptInput input;
    input.text = "Na\u00efve caf\u00e9 \U0001F468\u200D\U0001F469\u200D\U0001F467 \u6771\u4eac\t42\r\n";
    const PreparedPrompt prompt = prepare(input);
    EXPECT_EQ(prompt.text, input.text);
    std::int64_t end = 0;
    for (const auto& [begin, next] : prompt.offsets) {
        EXPECT_EQ(begin, end);
        end = next;
    }
    EXPECT_EQ(end, std::ssize(prompt.text));
    EXPECT_EQ(prompt.pieces.size(), prompt.ids.size());
}

TEST_F(PromptPreparation, ACutCharacterLeavesTheTextValidAndTheOffsetsTrue)
{
    const auto whole = tokenizer->encode("\u6771").ids;
    ASSERT_GT(whole.size(), 1U);
    const TokenText text = tokenText(*tokenizer, std::span(whole).first(1));
    EXPECT_EQ(text.text, std::string(static_cast<std::size_t>(text.offsets[0][1]), '?'));
    EXPECT_THAT(text.pieces[0], HasSubstr("<0x"));
}

TEST_F(PromptPreparation, RefusesWhatIsEmptyOrTooLong)
{
    PromptInput words;
    words.text = "one two three";
    const PreparedPrompt prompt = prepare(words);
    const std::int64_t tokens = std::ssize(prompt.ids);
    ModelConfig config;
    config.maxPositions = tokens + 5;
    EXPECT_NO_THROW(requireRoom(prompt, 5, config));
    EXPECT_THROW(requireRoom(prompt, 6, config), PromptError);
    RopeVariant rope;
    rope.originalContext = tokens + 2;
    rope.longFrequencies = {0.5F};
    config.ropes = {rope};
    EXPECT_NO_THROW(requireRoom(prompt, 2, config));
    EXPECT_THROW(requireRoom(prompt, 3, config), PromptError);
    EXPECT_THROW(prepare(PromptInput()), PromptError);
    PromptInput bad;
    bad.text = "a\xFFz";
    EXPECT_THROW(prepare(bad), Error);
}

/// Letters are tokens; every text begins with <s>, which is how Llama's tokenizer does it.
std::unique_ptr<Tokenizer> tokenizerThatBeginsTexts(const TemporaryFolder& folder)
{
    using Json = nlohmann::json;
    Json letters = Json::object();
    for (int byte = 0; byte < 256; ++byte)
        letters[byteToSymbol(static_cast<unsigned char>(byte))] = byte;
    const Json byteLevel{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}};
    folder.write("tokenizer.json",
        Json{{"added_tokens", {{{"id", 256}, {"content", "<s>"}, {"special", true}}}}, {"pre_tokenizer", byteLevel},
            {"post_processor",
                {{"type", "TemplateProcessing"}, {"pair", Json::array()},
                    {"single",
                        {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
                            {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
                    {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {256}}, {"tokens", {"<s>"}}}}}}}},
            {"decoder", byteLevel}, {"model", {{"type", "BPE"}, {"vocab", letters}, {"merges", Json::array()}}}}
            .dump());
    return Tokenizer::open(folder.path());
}

TEST(PlainPrompt, BeginsAsTheTokenizerBeginsEveryText)
{
    const TemporaryFolder folder;
    const auto tokenizer = tokenizerThatBeginsTexts(folder);
    const auto prepare
        = [&](const PromptInput& input) { return preparePrompt(input, tokenizer.get(), std::nullopt, {}, 257); };
    PromptInput input;
    input.text = "Hi there";
    input.spans = {{3, 8, SpanKind::Needle, -1, "word"}};
    const PreparedPrompt prompt = prepare(input);
    EXPECT_EQ(prompt.ids, (std::vector<std::int32_t>{256, 'H', 'i', ' ', 't', 'h', 'e', 'r', 'e'}));
    EXPECT_EQ(prompt.text, "<s>Hi there");
    ASSERT_EQ(prompt.spans.size(), 2U);
    EXPECT_EQ(prompt.spans[0], (Span{0, 1, SpanKind::Bos, -1, "bos"}));
    EXPECT_EQ(prompt.spans[1], (Span{4, 9, SpanKind::Needle, -1, "word"}));

    PromptInput ids;
    ids.ids = {'H', 'i'};
    EXPECT_EQ(prepare(ids).ids, ids.ids);
    EXPECT_TRUE(prepare(ids).spans.empty());
    EXPECT_THROW(prepare(PromptInput()), PromptError); // a beginning alone is no prompt
}

TEST(PlainPrompt, IsTheOnlyOneThatIsBegunForAChatTemplateWritesItsOwnBeginning)
{
    const TemporaryFolder folder;
    const auto tokenizer = tokenizerThatBeginsTexts(folder);
    std::ifstream reference(KVLOUPE_TEST_DATA "/chat_reference.json");
    const auto mistral = nlohmann::json::parse(reference)["mistral-v0.1"]["template"].get<std::string>();
    PromptRules rules;
    rules.chat = true;
    PromptInput input;
    input.text = "Hi";
    const PreparedPrompt prompt = preparePrompt(input, tokenizer.get(), ChatTemplate::recognise(mistral), rules, 257);
    EXPECT_THAT(prompt.text, testing::StartsWith("<s>[INST]"));
    EXPECT_EQ(std::ranges::count(prompt.ids, 256), 1);
    EXPECT_EQ(prompt.spans.front(), (Span{0, 1, SpanKind::Bos, -1, "bos"}));
}

TEST_F(PromptPreparation, AddsNothingWhereTheTokenizerAddsNothing)
{
    PromptInput input;
    input.text = "one two three";
    EXPECT_EQ(prepare(input).ids, tokenizer->encode(input.text).ids);
    EXPECT_EQ(prepare(input).text, input.text);
}

} // namespace
} // namespace kvloupe
