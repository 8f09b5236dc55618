// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/tokenizer.h"
#include "fuzz/scratch_file.h"

#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    const ScratchFile file({data, size});
    try {
        // Marks that compose, a character that decomposes, blanks, digits, an emoji, a special token.
        constexpr std::string_view text = "It's 42  e\xcc\x81 \xef\xac\x81 \xe4\xb8\xad\xf0\x9f\x99\x82<|im_end|>\n a ";
        const auto tokenizer = Tokenizer::open(file.path());
        const Encoding encoding = tokenizer->encode(text, {.addTemplate = true});
        tokenizer->decode(encoding.ids);
    } catch (const Error&) {
        // A refusal is what most inputs deserve.
    }
    return 0;
}
