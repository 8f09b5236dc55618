// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/checkpoint.h"
#include "capture/tokenizer/tokenizer.h"
#include "fuzz/scratch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    const ScratchFile file({data, size});
    try {
        const auto checkpoint = Checkpoint::open(file.path());
        for (const TensorInfo& tensor : checkpoint->tensors())
            if (tensor.rows() > 0)
                checkpoint->readFloat32(tensor.name);
        checkpoint->config().rope(0).frequenciesOf(1 << 20);
    } catch (const Error&) {
        // A refusal is what most inputs deserve.
    }
    try {
        Tokenizer::open(file.path())->encode("It's 42 \xc3\xa9<|im_end|>\n");
    } catch (const Error&) {
        // The same.
    }
    return 0;
}
