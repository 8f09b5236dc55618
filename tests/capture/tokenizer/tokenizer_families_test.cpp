// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/capture/tokenizer/tokenizer_reference.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>
#include <libdeflate.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

// What the tokenizers and sentencepiece packages give for hundreds of hostile texts and one small tokenizer of every
// shape; make_tokenizer_families.py explains the data.

namespace kvloupe {
namespace {

using nlohmann::json;

std::string inflated(const std::filesystem::path& path)
{
    std::ifstream file(path, std::ios::binary);
    const std::string packed{std::istreambuf_iterator<char>(file), {}};
    const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)> decompressor(
        libdeflate_alloc_decompressor(), &libdeflate_free_decompressor);
    std::string text(std::size_t{16} << 20, '\0');
    std::size_t size = 0;
    if (libdeflate_gzip_decompress(decompressor.get(), packed.data(), packed.size(), text.data(), text.size(), &size)
        != LIBDEFLATE_SUCCESS)
        throw std::runtime_error(path.string() + " cannot be unpacked");
    text.resize(size);
    return text;
}

const json& reference()
{
    static const json document = json::parse(inflated(KVLOUPE_TEST_DATA "/tokenizer_families.json.gz"));
    return document;
}

std::filesystem::path familyFile(const std::string& name)
{
    return std::filesystem::path(KVLOUPE_TEST_DATA) / "tokenizers" / "families" / name;
}

json familyJson(const std::string& name)
{
    constexpr std::string_view step = "step-";
    if (!name.starts_with(step))
        return json::parse(inflated(familyFile(name + ".json.gz")));
    json document = json::parse(inflated(familyFile("step.json.gz")));
    document.update(reference()["steps"][name.substr(step.size())]);
    return document;
}

std::vector<std::string> familyNames()
{
    std::vector<std::string> names;
    for (const auto& [name, family] : reference()["families"].items())
        names.push_back(name);
    return names;
}

class FamilyOfTokenizers : public testing::TestWithParam<std::string> {
protected:
    std::unique_ptr<Tokenizer> open() const
    {
        const TemporaryFolder folder;
        std::ofstream(folder.path() / "tokenizer.json") << familyJson(GetParam()).dump();
        return Tokenizer::open(folder.path());
    }
    const json& family() const { return reference()["families"][GetParam()]; }
};

TEST_P(FamilyOfTokenizers, GivesTheIdsAndTheOffsetsOfTheTokenizersPackage)
{
    const auto tokenizer = open();
    ASSERT_GE(family()["cases"].size(), 150u);
    int failures = 0;
    for (const json& item : family()["cases"]) {
        const auto text = reference()["texts"][item[0].get<std::size_t>()].get<std::string>();
        const Encoding encoding = tokenizer->encode(text, {.parseSpecial = item[1] == 1});
        std::vector<std::int64_t> starts;
        std::vector<std::int64_t> lengths;
        for (const auto& [begin, end] : inCharacters(text, encoding)) {
            starts.push_back(begin);
            lengths.push_back(end - begin);
        }
        EXPECT_EQ(json(encoding.ids), item[2]) << json(text).dump();
        if (encoding.droppedBytes.empty()) { // the package loses count of what it drops
            EXPECT_EQ(json(starts), item[3]) << json(text).dump();
            EXPECT_EQ(json(lengths), item[4]) << json(text).dump();
        }
        failures += HasFailure() ? 1 : 0;
        ASSERT_LT(failures, 5);
    }
    EXPECT_EQ(json(tokenizer->encode("Hello world", {.addTemplate = true}).ids), family()["template"]);
}

TEST_P(FamilyOfTokenizers, GivesTheTextBackThatTheTokenizersPackageGives)
{
    const auto tokenizer = open();
    for (std::size_t i = 0; i < family()["decoded"].size(); ++i) {
        const auto text = reference()["texts"][i].get<std::string>();
        const auto expected = family()["decoded"][i].get<std::string>();
        if (expected.find("\ufffd") == std::string::npos) { // stands for bytes that are no text
            EXPECT_EQ(tokenizer->decode(tokenizer->encode(text).ids), expected) << json(text).dump();
        }
    }
}

INSTANTIATE_TEST_SUITE_P(All, FamilyOfTokenizers, testing::ValuesIn(familyNames()), [](const auto& instance) {
    std::string name = instance.param;
    std::erase(name, '-');
    return name;
});

class SentencePieceFamily : public testing::TestWithParam<std::string> {
protected:
    const json& family() const { return reference()["sentencepiece"][GetParam()]; }

    void expectReference(const Tokenizer& tokenizer) const
    {
        ASSERT_GE(family()["texts"].size(), 400u);
        for (std::size_t i = 0; i < family()["texts"].size(); ++i) {
            const auto text = reference()["texts"][family()["texts"][i].get<std::size_t>()].get<std::string>();
            const Encoding encoding = tokenizer.encode(text, {.parseSpecial = false});
            ASSERT_EQ(json(encoding.ids), family()["ids"][i]) << json(text).dump();
            EXPECT_EQ(tokenizer.decode(encoding.ids), family()["decoded"][i].get<std::string>()) << json(text).dump();
            std::int64_t at = 0;
            for (const auto& [begin, end] : encoding.offsets) {
                // The space that is put before a text has the bytes of the first character.
                EXPECT_LE(at, std::max(begin, std::int64_t{4})) << json(text).dump();
                EXPECT_LE(begin, end);
                at = std::max(at, end);
            }
            EXPECT_EQ(at, static_cast<std::int64_t>(text.size())) << json(text).dump();
        }
    }
};

TEST_P(SentencePieceFamily, GivesTheIdsOfSentencePieceFromTokenizerModel)
{
    const auto tokenizer = Tokenizer::open(familyFile(GetParam() + ".model"));
    EXPECT_EQ(tokenizer->kind(), "sentencepiece (tokenizer.model)");
    EXPECT_EQ(tokenizer->bosId(), 1);
    EXPECT_TRUE(tokenizer->isSpecial(2));
    EXPECT_EQ(tokenizer->encode("a", {.addTemplate = true}).ids.front(), 1);
    EXPECT_EQ(tokenizer->encode("<s>a").ids.front(), 1);
    expectReference(*tokenizer);
}

TEST_P(SentencePieceFamily, GivesTheIdsOfSentencePieceFromGgufMetadata)
{
    if (GetParam() == "spm-unigram")
        GTEST_SKIP() << "GGUF's SentencePiece model is byte-pair encoding";
    const TemporaryFolder folder;
    GgufBuilder builder;
    builder.add("general.architecture", "llama")
        .add("tokenizer.ggml.model", "llama")
        .add("tokenizer.ggml.tokens", family()["pieces"].get<std::vector<std::string>>())
        .add("tokenizer.ggml.scores", family()["scores"].get<std::vector<float>>())
        .add("tokenizer.ggml.token_type", family()["types"].get<std::vector<std::int32_t>>())
        .add("tokenizer.ggml.add_space_prefix", GetParam() != "spm-plain")
        .add("tokenizer.ggml.bos_token_id", std::uint32_t{1})
        .add("tokenizer.ggml.unknown_token_id", std::uint32_t{0})
        .write(folder.path() / "model.gguf");
    const auto tokenizer = Tokenizer::open(folder.path() / "model.gguf");
    EXPECT_EQ(tokenizer->kind(), "sentencepiece bpe (gguf)");
    EXPECT_EQ(tokenizer->encode("a", {.addTemplate = true}).ids.front(), 1);
    expectReference(*tokenizer);
}

INSTANTIATE_TEST_SUITE_P(All, SentencePieceFamily, testing::Values("spm-bpe", "spm-unigram", "spm-plain"),
    [](const auto& instance) { return instance.param.substr(4); });

} // namespace
} // namespace kvloupe
