// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/tokenizer_definition.h"
#include "core/error.h"
#include "fuzz/scratch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    const ScratchFile file({data, size});
    try {
        const TokenizerDefinition definition = definitionFromSentencePiece(file.path());
        std::vector<PieceToken> tokens;
        definition.model->encode("It's 42 \xc3\xa9 \xe4\xb8\xad\n", tokens);
    } catch (const Error&) {
        // A refusal is what most inputs deserve.
    }
    return 0;
}
