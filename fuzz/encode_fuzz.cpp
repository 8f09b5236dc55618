// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/tokenizer.h"

#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    static const auto plain = Tokenizer::open(KVLOUPE_TEST_DATA "/tokenizers/llama-bpe.json");
    static const auto composing = Tokenizer::open(KVLOUPE_TEST_DATA "/tokenizers/qwen2.json");
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        for (const bool parseSpecial : {true, false})
            if (plain->decode(plain->encode(text, {.parseSpecial = parseSpecial}).ids) != text)
                std::abort();
        for (const auto& [begin, end] : composing->encode(text).offsets)
            if (begin < 0 || end < begin || end > static_cast<std::int64_t>(size))
                std::abort();
    } catch (const TokenizerError&) {
        // Not UTF-8.
    }
    return 0;
}
