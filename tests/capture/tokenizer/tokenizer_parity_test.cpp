// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/tokenizer.h"
#include "tests/capture/tokenizer/tokenizer_reference.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_model.h"

#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using nlohmann::json;

enum class Offsets { Compare, Ignore };

void expectReference(const Tokenizer& tokenizer, const json& family, Offsets offsets)
{
    ASSERT_GT(family["cases"].size(), 80u);
    for (const json& item : family["cases"]) {
        const auto text = item["text"].get<std::string>();
        const Encoding encoding = tokenizer.encode(text, {.parseSpecial = item["special"].get<bool>()});
        EXPECT_EQ(encoding.ids, item["ids"].get<std::vector<std::int32_t>>()) << json(text).dump();
        if (offsets == Offsets::Compare && encoding.droppedBytes.empty()) {
            EXPECT_EQ(inCharacters(text, encoding), (item["offsets"].get<std::vector<std::array<std::int64_t, 2>>>()))
                << json(text).dump();
        }
    }
    const auto withTemplate = tokenizer.encode("Hello world", {.addTemplate = true});
    EXPECT_EQ(withTemplate.ids, family["template"].get<std::vector<std::int32_t>>());
    EXPECT_EQ(withTemplate.offsets.size(), withTemplate.ids.size());
}

TEST(TokenizerParity, HoldsForTheRealModelOnAwkwardTexts)
{
    KVLOUPE_SKIP_WITHOUT_TEST_MODEL();
    const auto tokenizer = Tokenizer::open(testModelPath());
    expectReference(*tokenizer, tokenizerReference()["families"]["smollm"], Offsets::Compare);
    EXPECT_EQ(tokenizer->kind(), "bpe smollm (gguf)");
    EXPECT_EQ(tokenizer->vocabSize(), 49152);
    EXPECT_EQ(tokenizer->bosId(), 1);
    EXPECT_EQ(tokenizer->eosIds().front(), 2);
    EXPECT_TRUE(tokenizer->isSpecial(2));
    EXPECT_FALSE(tokenizer->isSpecial(20));
}

struct Family {
    const char* name;
    Offsets offsets;
};

class TokenizerFamilies : public testing::TestWithParam<Family> { };

TEST_P(TokenizerFamilies, HoldFromTokenizerJson)
{
    const auto tokenizer = Tokenizer::open(tokenizerJsonPath(GetParam().name));
    expectReference(*tokenizer, tokenizerReference()["families"][GetParam().name], GetParam().offsets);
}

TEST_P(TokenizerFamilies, HoldFromGgufMetadata)
{
    const TemporaryFolder folder;
    std::ifstream file(tokenizerJsonPath(GetParam().name));
    GgufBuilder builder = ggufFromTokenizerJson(json::parse(file), GetParam().name);
    const json family = tokenizerReference()["families"][GetParam().name];
    const auto withTemplate = family["template"].get<std::vector<std::int32_t>>();
    // The name alone says whether a beginning-of-sequence token is added; the file says which.
    builder.add("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(withTemplate.front()));
    builder.write(folder.path() / "model.gguf");
    // GGUF has no word for trimmed offsets.
    const bool trims = std::string_view(GetParam().name) == "gpt-2";
    expectReference(
        *Tokenizer::open(folder.path() / "model.gguf"), family, trims ? Offsets::Ignore : GetParam().offsets);
}

INSTANTIATE_TEST_SUITE_P(All, TokenizerFamilies,
    testing::Values(
        Family{"gpt-2", Offsets::Compare}, Family{"llama-bpe", Offsets::Compare}, Family{"qwen2", Offsets::Compare}),
    [](const auto& instance) {
        std::string name = instance.param.name;
        std::erase(name, '-');
        return name;
    });

} // namespace
} // namespace kvloupe
