// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/tokenizer.h"
#include "tests/capture/tokenizer/tokenizer_reference.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <functional>

namespace kvloupe {
namespace {

using nlohmann::json;

std::string readFile(const std::filesystem::path& path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// The message a tokenizer file is refused with; "" if it opens.
std::string refusal(const std::filesystem::path& path)
{
    try {
        Tokenizer::open(path);
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

void expectRefused(const std::filesystem::path& path, const std::string& fragment)
{
    const std::string message = refusal(path);
    EXPECT_NE(message.find(fragment), std::string::npos) << "expected: " << fragment << "\n   found: " << message;
    EXPECT_NE(message.find(path.filename().string()), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

struct JsonMutation {
    std::function<void(json&)> apply;
    const char* fragment;
};

TEST(TokenizerFile, RefusesTokenizerJsonItDoesNotUnderstand)
{
    const json good = json::parse(readFile(tokenizerJsonPath("llama-bpe")));
    const std::vector<JsonMutation> mutations = {
        {[](json& j) { j["model"]["type"] = "WordPiece"; },
            "the model 'WordPiece' is not supported (supported: BPE, Unigram)"},
        {[](json& j) { j["model"]["type"] = "WordLevel"; },
            "the model 'WordLevel' is not supported (supported: BPE, Unigram)"},
        {[](json& j) { j["model"]["type"] = "Unigram"; }, "Unigram after ByteLevel is not supported"},
        {[](json& j) { j["model"]["dropout"] = 0.1; }, "dropout"},
        {[](json& j) { j["model"]["byte_fallback"] = true; }, "byte_fallback"},
        {[](json& j) { j["model"]["end_of_word_suffix"] = "</w>"; }, "end_of_word_suffix"},
        {[](json& j) { j["model"]["unk_token"] = "no such"; }, "unk_token: is not in the vocabulary"},
        {[](json& j) { j["model"].erase("vocab"); }, "vocab: is missing"},
        {[](json& j) { j["model"]["vocab"] = json::object(); }, "vocab: is empty"},
        {[](json& j) { j["model"]["vocab"]["a"] = -1; }, "a token id is no number"},
        {[](json& j) { j["model"]["vocab"]["a"] = 1ull << 40; }, "a token id is no number from 0 to 16777215"},
        {[](json& j) { j["model"]["vocab"]["a"] = j["model"]["vocab"]["b"]; }, "occurs twice"},
        {[](json& j) { j["model"]["vocab"][""] = 9999; }, "token 9999 has 0 bytes"},
        {[](json& j) { j["model"]["merges"][0] = "nospace"; }, "merge 0 does not hold two parts"},
        {[](json& j) {
             j["model"]["merges"][3] = json::array({"a", "\u4e2d"});
         },
            "merge 3"},
        {[](json& j) { j["model"]["merges"] = 5; }, "merges: found a JSON number, expected a JSON array"},
        {[](json& j) {
             j["normalizer"] = {{"type", "Nmt"}};
         },
            "the normalizer 'Nmt' is not known"},
        {[](json& j) { j["pre_tokenizer"] = nullptr; }, "decoder: ByteLevel stands in the pre-tokenizer or"},
        {[](json& j) {
             j["pre_tokenizer"] = {{"type", "UnicodeScripts"}};
         },
            "known: BertPreTokenizer, ByteLevel, Digits, Metaspace, Punctuation, Sequence, Split, Whitespace"},
        {[](json& j) { j["pre_tokenizer"]["pretokenizers"].erase(1); }, "decoder: ByteLevel stands in"},
        {[](json& j) { std::swap(j["pre_tokenizer"]["pretokenizers"][0], j["pre_tokenizer"]["pretokenizers"][1]); },
            "a step after ByteLevel"},
        {[](json& j) { j["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Sideways"; }, "'Sideways' is not known"},
        {[](json& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(a"; }, "does not compile"},
        {[](json& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\p{N}{1,3}+"; },
            "which is greedy in Oniguruma"},
        {[](json& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = std::string(100000, 'a'); },
            "a pattern of 100000 bytes"},
        {[](json& j) { j["pre_tokenizer"]["pretokenizers"] = json::array(); }, "decoder: ByteLevel stands in"},
        {[](json& j) { j["added_tokens"][0]["content"] = ""; }, "content: 0 bytes"},
        {[](json& j) { j["added_tokens"][0]["id"] = "x"; }, "a token id is no number"},
        {[](json& j) { j["added_tokens"][0]["id"] = 5; }, "the id 5 belongs to"},
        {[](json& j) { j["added_tokens"][0]["single_word"] = 1; }, "single_word: found a JSON number"},
        {[](json& j) { j["added_tokens"][0]["special"] = 1; }, "special: found a JSON number"},
        {[](json& j) {
             j["post_processor"] = {{"type", "BertProcessing"}};
         },
            "cls: is missing"},
        {[](json& j) {
             j["post_processor"] = {{"type", "BertProcessing"}, {"cls", json::array({"a", 99999})}};
         },
            "cls: the id 99999 is outside the vocabulary"},
        {[](json& j) { j["post_processor"]["processors"][1]["special_tokens"] = json::object(); },
            "<|endoftext|>: is missing"},
        {[](json& j) { j["post_processor"]["processors"][1]["single"] = json::array(); }, "holds no Sequence"},
        {[](json& j) { j["post_processor"]["processors"][1]["special_tokens"]["<|endoftext|>"]["ids"][0] = 99999; },
            "the id 99999 is outside the vocabulary"},
        {[](json& j) {
             j["decoder"] = {{"type", "WordPiece"}};
         },
            "the decoder 'WordPiece' is not known"},
        {[](json& j) { j.erase("decoder"); }, "decoder: is missing"},
        {[](json& j) { j = json::array(); }, "expected a JSON object"},
    };
    const TemporaryFolder folder;
    EXPECT_EQ(refusal(folder.write("good.json", good.dump())), "");
    for (std::size_t i = 0; i < mutations.size(); ++i) {
        json bad = good;
        mutations[i].apply(bad);
        expectRefused(folder.write("bad" + std::to_string(i) + ".json", bad.dump()), mutations[i].fragment);
    }
}

TEST(TokenizerFile, RefusesModelsOfOtherShapesItDoesNotUnderstand)
{
    const json unigram = json::parse(R"({"normalizer": null, "pre_tokenizer": {"type": "Metaspace", "replacement": "_"},
        "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1], ["b", -2.5]]},
        "decoder": {"type": "Metaspace", "replacement": "_"}, "added_tokens": []})");
    const auto replaced = [](const char* pointer, const char* value) {
        return [pointer, value](json& j) { j[json::json_pointer(pointer)] = json::parse(value); };
    };
    const std::vector<JsonMutation> mutations = {
        {replaced("/model/unk_id", "3"), "unk_id: 3 is outside of the 3 entries"},
        {replaced("/model/vocab", "[]"), "0 entries, expected 1 to"},
        {replaced("/model/vocab/1", "[\"a\"]"), "entry 1 is no pair of a text and a number"},
        {replaced("/model/vocab/1/0", "\"\""), "token 1 has 0 bytes"},
        {replaced("/model/vocab/1/0", "\"b\""), "the token 'b' occurs twice"},
        {replaced("/pre_tokenizer/replacement", "\"\""), "replacement: is no single character"},
        {replaced("/pre_tokenizer/prepend_scheme", "\"last\""), "prepend_scheme: 'last' is not known"},
        {replaced("/normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "****"})"), "is not base64"},
        {replaced("/normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "/////w=="})"),
            "a trie of 4294967295 bytes in a character map of 4"},
        {replaced("/normalizer", R"({"type": "Replace", "pattern": {"String": ""}, "content": ""})"),
            "a pattern of 0 bytes"},
        {replaced("/decoder", R"({"type": "Strip", "content": " ", "start": 1, "stop": 0})"), "'Strip' is not known"},
        {replaced("/decoder", R"({"type": "Replace", "pattern": {"String": ""}, "content": "x"})"), "of nothing"},
    };
    const TemporaryFolder folder;
    EXPECT_EQ(refusal(folder.write("good.json", unigram.dump())), "");
    for (std::size_t i = 0; i < mutations.size(); ++i) {
        json bad = unigram;
        mutations[i].apply(bad);
        expectRefused(folder.write("bad" + std::to_string(i) + ".json", bad.dump()), mutations[i].fragment);
    }
    expectRefused(folder.write("tokenizer.model", "no model"), "is no SentencePiece model");
}

TEST(TokenizerFile, RefusesSentencePieceModelsThatTheLibraryThrowsAt)
{
    std::string model = readFile(KVLOUPE_TEST_DATA "/tokenizers/families/spm-unigram.model");
    const std::size_t piece = model.find("\x0a\x01\x61"); // a piece "a", which becomes a NUL
    ASSERT_NE(piece, std::string::npos);
    model[piece + 2] = '\0';
    const TemporaryFolder folder;
    expectRefused(folder.write("tokenizer.model", model), "is no SentencePiece model: ");
}

TEST(TokenizerFile, SaysWhichOtherTokenizerItFound)
{
    const TemporaryFolder folder;
    expectRefused(folder.write("tokenizer.model", "IQ== 0\nIg== 1\n"), "is a tiktoken file");
    for (const auto& [file, kind] : {std::pair{"tekken.json", "Mistral's Tekken"}, {"vocab.txt", "BERT's WordPiece"},
             {"vocab.json", "not a fast one"}}) {
        const TemporaryFolder other;
        other.write(file, "{}");
        expectRefused(other.path(), std::string("found ") + file + ", ");
        expectRefused(other.path(), kind);
    }
}

TEST(TokenizerFile, EndsStepsThatGrowATextWithoutEnd)
{
    json bomb = json::parse(readFile(tokenizerJsonPath("gpt-2")));
    const json step = {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(4000, 'a')}};
    bomb["normalizer"] = {{"type", "Sequence"}, {"normalizers", json::array({step, step, step})}};
    const TemporaryFolder folder;
    const auto tokenizer = Tokenizer::open(folder.write("bomb.json", bomb.dump()));
    EXPECT_THROW(tokenizer->encode("aaaa"), TokenizerError);
    EXPECT_NO_THROW(tokenizer->encode("bbbb"));
}

TEST(TokenizerFile, RefusesJsonThatIsDamagedOrNestedWithoutEnd)
{
    const TemporaryFolder folder;
    const std::string good = readFile(tokenizerJsonPath("gpt-2"));
    expectRefused(folder.write("cut.json", good.substr(0, good.size() / 2)), "is not valid JSON at byte");
    expectRefused(folder.write("deep.json", std::string(100000, '[')), "nested deeper than 32 levels");
    expectRefused(folder.write("twice.json", R"({"model": 1, "model": 2})"), "the key 'model' occurs twice");
    expectRefused(folder.write("latin1.json", "{\"a\": \"\xe9\"}"), "is not valid JSON");
    expectRefused(folder.write("empty.json", ""), "is empty");
    expectRefused(folder.path() / "absent.json", "no such file or folder");
    expectRefused(folder.path(), "holds neither tokenizer.json nor tokenizer.model");
}

TEST(TokenizerFile, RefusesGgufMetadataItDoesNotUnderstand)
{
    const json document = json::parse(readFile(tokenizerJsonPath("gpt-2")));
    const GgufBuilder good = ggufFromTokenizerJson(document, "gpt-2");
    struct Mutation {
        std::function<void(GgufBuilder&)> apply;
        const char* fragment;
    };
    const auto replace = [](const char* key, auto value) {
        return [key, value](GgufBuilder& builder) { builder.remove(key).add(key, value); };
    };
    const auto remove = [](const char* key) { return [key](GgufBuilder& builder) { builder.remove(key); }; };
    const std::vector<Mutation> mutations = {
        {replace("tokenizer.ggml.model", "bert"), "the tokenizer 'bert', WordPiece, is not supported (supported: gpt2"},
        {replace("tokenizer.ggml.model", "t5"),
            "the tokenizer 't5', the Unigram model of encoder-decoders, is not supported"},
        {replace("tokenizer.ggml.model", "rwkv"), "the tokenizer 'rwkv', RWKV's trie, is not supported"},
        {replace("tokenizer.ggml.model", "new"), "the tokenizer 'new' is not supported"},
        {replace("tokenizer.ggml.model", "llama"), "0 scores for"},
        {replace("tokenizer.ggml.model", 5u), "found a uint32 value, expected a string"},
        {remove("tokenizer.ggml.model"), "tokenizer.ggml.model: is missing"},
        {replace("tokenizer.ggml.pre", "tekken"),
            "the pre-tokenizer 'tekken' is not known (known: deepseek-r1-qwen, gpt-2, llama-bpe, llama-v3, llama3, "
            "qwen2, smollm)"},
        {remove("tokenizer.ggml.pre"), "tokenizer.ggml.pre: is missing"},
        {remove("tokenizer.ggml.tokens"), "tokenizer.ggml.tokens: is missing"},
        {replace("tokenizer.ggml.tokens", std::vector<std::string>{}), "is missing or empty"},
        {replace("tokenizer.ggml.tokens", std::vector<std::string>{"a", "a"}), "2 tokens"},
        {[](GgufBuilder& b) {
             b.remove("tokenizer.ggml.tokens").remove("tokenizer.ggml.token_type");
             b.add("tokenizer.ggml.tokens", std::vector<std::string>{"a", "a"});
         },
            "the token 'a' occurs twice"},
        {[](GgufBuilder& b) {
             b.remove("tokenizer.ggml.tokens").remove("tokenizer.ggml.token_type");
             b.add("tokenizer.ggml.tokens", std::vector<std::string>{"a", ""});
         },
            "token 1 has 0 bytes"},
        {replace("tokenizer.ggml.token_type", std::vector<std::int32_t>{1, 2, 3}), "3 types for"},
        {remove("tokenizer.ggml.merges"), "tokenizer.ggml.merges: is missing"},
        {replace("tokenizer.ggml.merges", std::vector<std::string>{"ab"}), "merge 0 does not hold two parts"},
        {replace("tokenizer.ggml.merges", std::vector<std::string>{"a \xff"}), "merge 0: 'a' + '\\xff' needs tokens"},
        {replace("tokenizer.ggml.merges", std::vector<std::int32_t>{1}), "expected an array of strings"},
        {[](GgufBuilder& b) { b.add("tokenizer.ggml.bos_token_id", 1u << 20); }, "expected 0 to"},
        {[](GgufBuilder& b) { b.add("tokenizer.ggml.add_bos_token", true); },
            "tokenizer.ggml.bos_token_id: is missing"},
        {[](GgufBuilder& b) { b.add("tokenizer.ggml.add_eos_token", true); },
            "tokenizer.ggml.eos_token_id: is missing"},
    };
    const TemporaryFolder folder;
    good.write(folder.path() / "good.gguf");
    EXPECT_EQ(refusal(folder.path() / "good.gguf"), "");
    for (std::size_t i = 0; i < mutations.size(); ++i) {
        GgufBuilder bad = good;
        mutations[i].apply(bad);
        const auto path = folder.path() / ("bad" + std::to_string(i) + ".gguf");
        bad.write(path);
        expectRefused(path, mutations[i].fragment);
    }
}

TEST(TokenizerFile, TakesIdsAndTemplateFromTheFilesBesideIt)
{
    const TemporaryFolder folder;
    folder.write("tokenizer.json", readFile(tokenizerJsonPath("llama-bpe")));
    const auto alone = Tokenizer::open(folder.path());
    EXPECT_EQ(alone->bosId(), alone->encode("", {.addTemplate = true}).ids.front()); // what its template puts first
    folder.write("tokenizer_config.json", R"({"bos_token": {"content": "<|im_start|>"}, "eos_token": "<|im_end|>",
        "chat_template": [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]})");
    const auto tokenizer = Tokenizer::open(folder.path());
    EXPECT_EQ(tokenizer->bosId(), tokenizer->idOf("<|im_start|>"));
    ASSERT_EQ(tokenizer->eosIds().size(), 1u);
    EXPECT_EQ(tokenizer->eosIds().front(), tokenizer->idOf("<|im_end|>"));
    EXPECT_EQ(tokenizer->chatTemplate(), "yes");
    folder.write("chat_template.jinja", "own file");
    EXPECT_EQ(Tokenizer::open(folder.path())->chatTemplate(), "own file");
    EXPECT_EQ(tokenizer->sha256().size(), 64u);
}

TEST(TokenizerFile, HonoursStripFlagsOfAddedTokens)
{
    json document = json::parse(readFile(tokenizerJsonPath("llama-bpe")));
    document["added_tokens"][1]["lstrip"] = true;
    document["added_tokens"][2]["rstrip"] = true;
    const TemporaryFolder folder;
    const auto tokenizer = Tokenizer::open(folder.write("tokenizer.json", document.dump()));
    const Encoding encoding = tokenizer->encode("a \t<|im_start|> b<|im_end|>\u3000\nc");
    EXPECT_EQ(encoding.ids,
        (std::vector<std::int32_t>{tokenizer->idOf("a"), tokenizer->idOf("<|im_start|>"), tokenizer->idOf(" b"),
            tokenizer->idOf("<|im_end|>"), tokenizer->idOf("c")}));
    EXPECT_EQ(encoding.offsets[1], (std::array<std::int64_t, 2>{1, 15}));
    EXPECT_EQ(encoding.offsets[3], (std::array<std::int64_t, 2>{17, 31}));
}

TEST(TokenizerFile, OpensOrRefusesWhateverByteIsFlippedOrCut)
{
    const TemporaryFolder folder;
    const std::string text = readFile(tokenizerJsonPath("gpt-2"));
    GgufBuilder builder = ggufFromTokenizerJson(json::parse(text), "gpt-2");
    for (const std::string& good : {text, builder.header()})
        for (std::size_t i = 0; i < good.size(); i += 13) {
            std::string bad = good;
            bad[i] = static_cast<char>(bad[i] ^ (1 << i % 8));
            refusal(folder.write("flipped", bad)); // anything but an Error would end the test
            if (i % 5 == 0) {
                EXPECT_NE(refusal(folder.write("cut", good.substr(0, i))), "") << i;
            }
        }
}

} // namespace
} // namespace kvloupe
