// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/tokenizer.h"
#include "fuzz/scratch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    const ScratchFile file({data, size});
    try {
        const auto tokenizer = Tokenizer::open(file.path());
        const Encoding encoding = tokenizer->encode("It's 42 \xc3\xa9<|im_end|>\n", {.addTemplate = true});
        tokenizer->decode(encoding.ids);
    } catch (const Error&) {
        // A refusal is what most inputs deserve.
    }
    return 0;
}
