// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/tokenizer.h"
#include "fuzz/scratch_file.h"

#include <cstdlib>
#include <memory>
#include <string_view>

namespace {

using namespace kvloupe;

std::unique_ptr<Tokenizer> fromText(std::string_view json)
{
    const ScratchFile file({reinterpret_cast<const std::uint8_t*>(json.data()), json.size()});
    return Tokenizer::open(file.path());
}

constexpr std::string_view characters = R"({
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "Lowercase"}, {"type": "StripAccents"},
        {"type": "NFKC"}, {"type": "Strip"}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}]},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Punctuation"}, {"type": "Digits"},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
        "vocab": {"<unk>": 0, "<0x41>": 1, "<0xC3>": 2, "a": 3, "b": 4, "▁": 5, "ab": 6, "▁a": 7, "▁ab": 8},
        "merges": [["a", "b"], ["▁", "a"], ["▁", "ab"]]},
    "added_tokens": [{"id": 9, "content": "<m>", "lstrip": true, "rstrip": true, "normalized": true},
        {"id": 10, "content": "w", "single_word": true}],
    "decoder": {"type": "Metaspace", "replacement": "▁"}})";

constexpr std::string_view unigram = R"({
    "pre_tokenizer": {"type": "Metaspace", "replacement": "▁"},
    "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1], ["b", -2.5], ["▁", -3], ["ab", -3.5], ["▁a", -2]]},
    "decoder": {"type": "Metaspace", "replacement": "▁"}})";

void expectOffsetsInside(const Encoding& encoding, std::size_t size)
{
    for (const auto& [begin, end] : encoding.offsets)
        if (begin < 0 || end < begin || end > static_cast<std::int64_t>(size))
            std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const auto plain = Tokenizer::open(KVLOUPE_TEST_DATA "/tokenizers/llama-bpe.json");
    static const auto composing = Tokenizer::open(KVLOUPE_TEST_DATA "/tokenizers/qwen2.json");
    static const auto sentencePiece = Tokenizer::open(KVLOUPE_TEST_DATA "/tokenizers/families/spm-bpe.model");
    static const auto ofCharacters = fromText(characters);
    static const auto ofUnigrams = fromText(unigram);
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        for (const bool parseSpecial : {true, false})
            if (plain->decode(plain->encode(text, {.parseSpecial = parseSpecial}).ids) != text)
                std::abort();
        for (const auto* const tokenizer : {&composing, &sentencePiece, &ofCharacters, &ofUnigrams})
            expectOffsetsInside((*tokenizer)->encode(text), size);
    } catch (const TokenizerError&) {
        // Not UTF-8.
    }
    return 0;
}
