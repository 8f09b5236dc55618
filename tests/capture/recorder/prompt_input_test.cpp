// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/recorder/prompt_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PromptInputFile : public testing::Test {
protected:
    void SetUp() override
    {
        const auto* test = testing::UnitTest::GetInstance()->current_test_info();
        folder = std::filesystem::path(testing::TempDir()) / (std::string("kvloupe_prompt_input_") + test->name());
        std::filesystem::create_directories(folder);
    }
    void TearDown() override { std::filesystem::remove_all(folder); }

    std::filesystem::path write(const std::string& name, const std::string& content) const
    {
        std::ofstream(folder / name, std::ios::binary) << content;
        return folder / name;
    }

    static std::string messageOf(const std::function<void()>& action)
    {
        try {
            action();
        } catch (const Error& error) {
            return error.what();
        }
        return "no error";
    }

    std::filesystem::path folder;
};

TEST_F(PromptInputFile, LinesWithTextMessagesAndSpansAreRead)
{
    const auto file = write("p.jsonl",
        R"({"id":"a","pair_id":"x","task":"AR","seed":7,"text":"Q: 1\nA: 2","spans":[{"begin":0,"end":4,"kind":"shot_question","shot":0,"label":"Q:"}]})"
        "\n\n"
        R"({"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]})"
        "\n");
    const auto prompts = readPromptLines(file);
    ASSERT_EQ(prompts.size(), 2U);
    EXPECT_EQ(prompts[0].id, "a");
    EXPECT_EQ(prompts[0].pairId, "x");
    EXPECT_EQ(prompts[0].task, "AR");
    EXPECT_EQ(prompts[0].seed, 7);
    EXPECT_EQ(prompts[0].text, "Q: 1\nA: 2");
    EXPECT_THAT(prompts[0].spans, ElementsAre(Span{0, 4, SpanKind::ShotQuestion, 0, "Q:"}));
    EXPECT_EQ(prompts[1].id, "p.jsonl:3");
    ASSERT_EQ(prompts[1].messages.size(), 2U);
    EXPECT_EQ(prompts[1].messages[1].role, "user");
    EXPECT_EQ(prompts[1].messages[1].content, "Hi");
}

TEST_F(PromptInputFile, WrongLinesAreNamedWithFieldFoundAndExpected)
{
    const std::pair<const char*, const char*> cases[] = {
        {R"({"text":"x")", "p.jsonl line 1"},
        {R"([1])", "an object with text or messages"},
        {R"({"id":"a"})", "neither text nor messages"},
        {R"({"text":"x","messages":[{"role":"user","content":"y"}]})", "both text and messages"},
        {R"({"text":5})", "text: found number, expected a string"},
        {R"({"messages":{"role":"user"}})", "messages: found object"},
        {R"({"messages":[{"role":"user"}]})", "objects with role and content"},
        {R"({"text":"x","spans":[{"begin":3,"end":1,"kind":"shot"}]})", "span 0: field \"end\": found 1"},
        {R"({"text":"x","spans":[{"begin":-1,"end":1,"kind":"shot"}]})", "field \"begin\": found -1"},
        {R"({"text":"x","spans":[{"begin":0,"end":1,"kind":"banana"}]})", "field \"kind\": found \"banana\""},
        {R"({"text":"x","spans":[{"begin":0,"kind":"shot"}]})", "no field \"end\""},
        {R"({"text":"x","spans":7})", "spans: found number"},
        {R"({"text":"x","seed":1.5})", "seed: found number, expected a whole number"},
        {R"({"text":"x","seed":18446744073709551615})", "seed: found 18446744073709551615"},
        {R"({"text":"x","a":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]})", "p.jsonl line 1"},
    };
    for (const auto& [line, fragment] : cases) {
        const auto file = write("p.jsonl", line);
        const std::string message = messageOf([&] { readPromptLines(file); });
        EXPECT_THAT(message, HasSubstr(fragment)) << line;
        EXPECT_THAT(message, HasSubstr(file.string())) << line;
    }
    EXPECT_THAT(messageOf([&] { readPromptLines(write("empty.jsonl", "\n \n")); }), HasSubstr("no prompts in it"));
}

TEST_F(PromptInputFile, TextThatIsNotUtf8IsRefusedWithTheByte)
{
    const auto file = write("p.txt", "abc\xFFrest");
    EXPECT_THAT(messageOf([&] { readPromptFile(file); }), HasSubstr("byte 3 is not UTF-8 (0xFF)"));
    EXPECT_THAT(messageOf([&] { readPromptFile(write("cut.txt", "ab\xE2\x82")); }), HasSubstr("byte 2 is not UTF-8"));
    EXPECT_EQ(readPromptFile(write("fine.txt", "a\xE2\x82\xAC")), "a\xE2\x82\xAC");
}

TEST_F(PromptInputFile, MissingFilesAndFoldersAreNamed)
{
    EXPECT_THAT(messageOf([&] { readPromptFile(folder / "none.txt"); }), HasSubstr("none.txt"));
    EXPECT_THAT(messageOf([&] { readPromptFile(folder); }), HasSubstr(folder.string()));
}

TEST_F(PromptInputFile, IdsAreAListOrAListOfLists)
{
    EXPECT_THAT(readTokenIds(write("i.json", "[1, 2, 3]")).front().ids, ElementsAre(1, 2, 3));
    const auto two = readTokenIds(write("i.json", "[[1], [4, 5]]"));
    ASSERT_EQ(two.size(), 2U);
    EXPECT_THAT(two[1].ids, ElementsAre(4, 5));
    for (const char* wrong : {"[]", "{}", "[-1]", "[1.5]", "[[]]", "[[1], 2]", "[99999999999]", "[\"a\"]", "nope"}) {
        EXPECT_THROW(readTokenIds(write("i.json", wrong)), Error) << wrong;
    }
}

} // namespace
} // namespace kvloupe
