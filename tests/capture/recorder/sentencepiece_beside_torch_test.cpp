// SPDX-License-Identifier: GPL-3.0-or-later

// LibTorch and SentencePiece bring a copy of Protocol Buffers each; this program has LibTorch.

#include "capture/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace kvloupe {
namespace {

TEST(SentencePieceBesideTorch, AModelIsReadAndEncodesWhereLibTorchIsLoaded)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "sanitizers do not let a module prefer its own symbols";
#endif
    const std::filesystem::path families = std::filesystem::path(KVLOUPE_TEST_DATA) / "tokenizers" / "families";
    for (const char* name : {"spm-bpe.model", "spm-unigram.model"}) {
        const auto tokenizer = Tokenizer::open(families / name);
        const std::string text = "a few words, 12 numbers and \u00e9t\u00e9";
        const Encoding encoding = tokenizer->encode(text);
        EXPECT_GT(encoding.ids.size(), 5U);
        EXPECT_EQ(tokenizer->decode(encoding.ids), text) << name;
    }
}

} // namespace
} // namespace kvloupe
