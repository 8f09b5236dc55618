// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/tokenizer.h"

#include "capture/tokenizer/byte_alphabet.h"
#include "capture/tokenizer/models/pair_merger.h"
#include "capture/tokenizer/normalizers/unicode_form_normalizer.h"
#include "capture/tokenizer/split_pattern.h"
#include "capture/tokenizer/utf8_text.h"
#include "tests/capture/tokenizer/tokenizer_reference.h"
#include "tests/support/test_model.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace kvloupe {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

/// A character from any plane, surrogates apart.
std::string randomCharacter(std::mt19937& random)
{
    static constexpr std::array<std::array<std::uint32_t, 2>, 10> blocks
        = {{{0x20, 0x7e}, {0x09, 0x0d}, {0x80, 0x24f}, {0x300, 0x36f}, {0x370, 0x5ff}, {0x900, 0xdff}, {0x1100, 0x11ff},
            {0x2000, 0x206f}, {0x3040, 0xd7ff}, {0x1f000, 0x1faff}}};
    const auto& block = blocks.at(std::uniform_int_distribution<std::size_t>(0, blocks.size() - 1)(random));
    const std::uint32_t c = std::uniform_int_distribution<std::uint32_t>(block[0], block[1])(random);
    const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
    if (c < 0x80)
        return {byte(c)};
    if (c < 0x800)
        return {byte(0xc0 | c >> 6), byte(0x80 | (c & 0x3f))};
    if (c < 0x10000)
        return {byte(0xe0 | c >> 12), byte(0x80 | (c >> 6 & 0x3f)), byte(0x80 | (c & 0x3f))};
    return {byte(0xf0 | c >> 18), byte(0x80 | (c >> 12 & 0x3f)), byte(0x80 | (c >> 6 & 0x3f)), byte(0x80 | (c & 0x3f))};
}

std::string randomText(std::mt19937& random)
{
    std::string text;
    const int length = std::uniform_int_distribution<int>(0, 60)(random);
    for (int i = 0; i < length; ++i)
        text += randomCharacter(random);
    return text;
}

std::unique_ptr<Tokenizer> family(std::string_view name)
{
    return Tokenizer::open(tokenizerJsonPath(name));
}

TEST(Tokenizer, GivesBackTheExactBytesOfRandomUnicodeText)
{
    std::mt19937 random(7);
    std::vector<std::unique_ptr<Tokenizer>> tokenizers;
    tokenizers.push_back(family("gpt-2"));
    tokenizers.push_back(family("llama-bpe"));
    if (!testModelPath().empty())
        tokenizers.push_back(Tokenizer::open(testModelPath()));
    for (int i = 0; i < 3000; ++i) {
        const std::string text = randomText(random);
        for (const auto& tokenizer : tokenizers) {
            const Encoding encoding = tokenizer->encode(text);
            std::string expected = text;
            for (auto dropped = encoding.droppedBytes.rbegin(); dropped != encoding.droppedBytes.rend(); ++dropped)
                expected.erase(static_cast<std::size_t>(*dropped), 1);
            ASSERT_EQ(tokenizer->decode(encoding.ids), expected) << tokenizer->kind();
        }
    }
}

TEST(Tokenizer, CoversTheTextWithOffsetsThatAreTheBytesOfEachToken)
{
    std::mt19937 random(11);
    const auto tokenizer = family("llama-bpe");
    for (int i = 0; i < 500; ++i) {
        const std::string text = randomText(random);
        const Encoding encoding = tokenizer->encode(text);
        std::int64_t at = 0;
        for (std::size_t t = 0; t < encoding.ids.size(); ++t) {
            const auto [begin, end] = encoding.offsets[t];
            ASSERT_EQ(begin, at);
            ASSERT_EQ(text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)),
                tokenizer->bytes(encoding.ids[t]));
            at = end;
        }
        ASSERT_EQ(at, static_cast<std::int64_t>(text.size()));
    }
}

TEST(Tokenizer, ComposesForQwenAndPointsBackAtTheOriginal)
{
    const auto tokenizer = family("qwen2");
    const std::string text = "x e\u0301 y"; // e and a combining acute accent
    const Encoding encoding = tokenizer->encode(text);
    EXPECT_EQ(tokenizer->decode(encoding.ids), "x \u00e9 y");
    // What takes the place of both characters has the bytes of the first, as in Hugging Face's tokenizers.
    EXPECT_NE(std::ranges::find(encoding.offsets, std::array<std::int64_t, 2>{2, 3}), encoding.offsets.end());
    EXPECT_EQ(encoding.offsets.back()[1], static_cast<std::int64_t>(text.size()));
}

TEST(Tokenizer, EncodesNothingForAnEmptyText)
{
    const auto tokenizer = family("gpt-2");
    EXPECT_TRUE(tokenizer->encode("").ids.empty());
    EXPECT_TRUE(tokenizer->encode("").offsets.empty());
    EXPECT_EQ(tokenizer->decode({}), "");
    EXPECT_EQ(family("llama-bpe")->encode("", {.addTemplate = true}).ids.size(), 1u);
}

TEST(Tokenizer, NamesTheFirstByteThatIsNotUtf8)
{
    const auto tokenizer = family("gpt-2");
    const auto encode = [&](std::string text) { return [&, text] { tokenizer->encode(text); }; };
    EXPECT_THAT(encode("abc\xff"), ThrowsMessage<TokenizerError>(HasSubstr("byte 0xff at offset 3")));
    EXPECT_THAT(encode("\xe2\x82"), ThrowsMessage<TokenizerError>(HasSubstr("offset 0")));
    EXPECT_THAT(encode("a\xc0\x80"), ThrowsMessage<TokenizerError>(HasSubstr("offset 1"))); // overlong
    EXPECT_THAT(encode("\xed\xa0\x80"), ThrowsMessage<TokenizerError>(HasSubstr("offset 0"))); // surrogate
    EXPECT_THAT(encode("\xf5\x80\x80\x80"), ThrowsMessage<TokenizerError>(HasSubstr("offset 0")));
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(std::string("a\0b", 3)).ids), std::string("a\0b", 3));
}

TEST(Tokenizer, ShowsBytesThatAreNoCharacterOnTheirOwn)
{
    const auto tokenizer = family("gpt-2");
    EXPECT_EQ(tokenizer->piece(tokenizer->idOf("\xe2")), "<0xE2>");
    EXPECT_EQ(tokenizer->bytes(tokenizer->idOf("\xe2")), "\xe2");
    EXPECT_EQ(tokenizer->piece(tokenizer->idOf(" ")), " ");
    EXPECT_EQ(tokenizer->piece(tokenizer->idOf("<|im_end|>")), "<|im_end|>");
    EXPECT_EQ(tokenizer->idOf("no such token"), -1);
}

TEST(Tokenizer, RefusesIdsThatAreNotInTheVocabulary)
{
    const auto tokenizer = family("gpt-2");
    const std::vector<std::int32_t> ids = {0, static_cast<std::int32_t>(tokenizer->vocabSize())};
    EXPECT_THROW(tokenizer->decode(ids), TokenizerError);
    EXPECT_THROW(tokenizer->bytes(-1), TokenizerError);
    EXPECT_THROW(tokenizer->isSpecial(1 << 30), TokenizerError);
}

TEST(Tokenizer, ReportsBytesForWhichTheVocabularyHasNoToken)
{
    KVLOUPE_SKIP_WITHOUT_TEST_MODEL();
    const auto tokenizer = Tokenizer::open(testModelPath());
    const Encoding encoding = tokenizer->encode("a\x04z");
    EXPECT_EQ(encoding.droppedBytes, std::vector<std::int64_t>{1});
    EXPECT_EQ(tokenizer->decode(encoding.ids), "az");
}

TEST(Tokenizer, EncodesAMegabyteOfOneLetter)
{
    const auto tokenizer = family("gpt-2");
    for (const char letter : {'a', ' ', '1', '-', '\n', '\''}) {
        const std::string text(1 << 20, letter);
        EXPECT_EQ(tokenizer->decode(tokenizer->encode(text).ids), text);
    }
}

TEST(Tokenizer, SplitsTextWithManyMarkersQuickly)
{
    const auto tokenizer = family("llama-bpe");
    std::string text;
    for (int i = 0; i < 50000; ++i)
        text += "<|im_start|> \n";
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text).ids), text);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, {.parseSpecial = false}).ids), text);
}

/// The textbook algorithm: find the best pair, leftmost first, merge it, begin again.
std::vector<std::int32_t> slowMerge(std::vector<std::int32_t> ids, const std::vector<PairMerge>& merges)
{
    for (;;) {
        std::size_t best = merges.size();
        std::size_t place = 0;
        for (std::size_t i = 0; i + 1 < ids.size(); ++i)
            for (std::size_t rank = 0; rank < best; ++rank)
                if (merges[rank].left == ids[i] && merges[rank].right == ids[i + 1]) {
                    best = rank;
                    place = i;
                }
        if (best == merges.size())
            return ids;
        ids[place] = merges[best].result;
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(place) + 1);
    }
}

TEST(PairMerger, AgreesWithTheTextbookAlgorithmOnRandomMerges)
{
    std::mt19937 random(3);
    for (int round = 0; round < 1000; ++round) {
        std::vector<PairMerge> merges;
        std::vector<std::int32_t> known = {'a', 'b', 'c'};
        for (std::int32_t next = 256; next < 280; ++next) {
            std::uniform_int_distribution<std::size_t> pick(0, known.size() - 1);
            const std::int32_t left = known[pick(random)];
            const std::int32_t right = known[pick(random)];
            const bool isNew = std::ranges::none_of(
                merges, [&](const auto& merge) { return merge.left == left && merge.right == right; });
            if (isNew)
                merges.push_back({left, right, next});
            known.push_back(isNew ? next : left);
        }
        std::ranges::shuffle(merges, random);
        for (std::size_t rank = 0; rank < merges.size(); ++rank)
            merges[rank].rank = static_cast<std::int32_t>(rank);
        std::string text;
        const int length = round % 2 == 0 ? 40 : 200; // short pieces and long ones are merged by different means
        for (int i = 0; i < length; ++i)
            text += static_cast<char>('a' + std::uniform_int_distribution<int>(0, 2)(random));
        std::vector<PieceToken> tokens;
        for (std::size_t i = 0; i < text.size(); ++i)
            tokens.push_back({text[i], i, i + 1});
        PairMerger(merges).merge(tokens, 0);
        std::vector<std::int32_t> ids;
        for (const PieceToken& token : tokens)
            ids.push_back(token.id);
        ASSERT_EQ(ids, slowMerge({text.begin(), text.end()}, merges)) << text;
    }
}

TEST(ByteAlphabet, StandsForEveryByteExactlyOnce)
{
    std::string all;
    for (int byte = 0; byte < 256; ++byte) {
        const std::string symbol = byteToSymbol(static_cast<unsigned char>(byte));
        EXPECT_EQ(symbolsToBytes(symbol), std::string(1, static_cast<char>(byte)));
        EXPECT_EQ(all.find(symbol), std::string::npos);
        all += symbol;
    }
    EXPECT_EQ(byteToSymbol(' '), "\u0120");
    EXPECT_EQ(byteToSymbol('\n'), "\u010a");
    EXPECT_EQ(symbolsToBytes("\u4e2d"), std::nullopt);
}

TEST(SplitPattern, TranslatesWhatThePatternLibrariesReadDifferently)
{
    EXPECT_EQ(translateOniguruma(R"([^\s\p{L}]+|\s+(?!\S))", "t"),
        R"([^\t-\r\x{85}\p{Z}\p{L}]+|[\t-\r\x{85}\p{Z}]+(?![^\t-\r\x{85}\p{Z}]))");
    EXPECT_EQ(
        translateOniguruma(R"(\u0041{,3}a{b[[:alpha:]{]\[\p{N}+)", "t"), R"(\x{0041}{0,3}a{b[[:alpha:]{]\[\p{N}+)");
    for (const char* const pattern : {R"(a{1,3}+)", R"(\h)", R"([a[b]])", R"([a&&b])", R"((?m)a)", R"((*ACCEPT)a)",
             R"([\S])", "a\\", "[]a]", "[[:a"})
        EXPECT_THROW(translateOniguruma(pattern, "t"), TokenizerError) << pattern;
}

TEST(SplitPattern, KeepsToUnicodeWhiteSpace)
{
    const SplitPattern pattern(R"(\s)", PatternSyntax::Regex, "t");
    SplitPattern::Matcher matcher(pattern);
    for (const char* const space : {" ", "\t", "\n", "\x0b", "\r", "\u0085", "\u00a0", "\u2003", "\u2028", "\u3000"})
        EXPECT_EQ(matcher.matches(space).size(), 1u) << space;
    for (const char* const other : {"\u180e", "\u200b", "\ufeff", "a", "\x1f"})
        EXPECT_TRUE(matcher.matches(other).empty()) << other;
}

TEST(SplitPattern, EndsCatastrophicPatternsWithAnError)
{
    const SplitPattern pattern(R"((a|aa|a?)+c)", PatternSyntax::Regex, "hostile.json: pre_tokenizer");
    const std::string text = std::string(5000, 'a') + "!c";
    EXPECT_THAT([&] { SplitPattern::Matcher(pattern).matches(text); },
        ThrowsMessage<TokenizerError>(HasSubstr("hostile.json: pre_tokenizer: the pattern fails at byte 0")));
}

TEST(Utf8Text, FindsTheFirstMalformedByte)
{
    EXPECT_EQ(firstInvalidUtf8("a\u00e9\U0001f600"), 7u);
    EXPECT_EQ(firstInvalidUtf8("ab\x80"), 2u);
    EXPECT_EQ(displayText("a\xe2\x82z\xff"), "a<0xE2><0x82>z<0xFF>");
}

TEST(UnicodeFormNormalizer, LeavesNormalisedTextAloneAndCoversTheOriginal)
{
    std::mt19937 random(5);
    const UnicodeFormNormalizer nfc(UnicodeForm::Nfc);
    for (int i = 0; i < 2000; ++i) {
        const std::string original = randomText(random);
        NormalizedText text(original);
        nfc.apply(text);
        if (!original.empty()) {
            const auto all = text.origin(0, text.text().size());
            EXPECT_EQ(all[0], 0);
        }
        const std::string once(text.text());
        NormalizedText again(once);
        nfc.apply(again);
        EXPECT_EQ(again.text(), once);
    }
}

} // namespace
} // namespace kvloupe
