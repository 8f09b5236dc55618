// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/safetensors_file.h"
#include "fuzz/scratch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    const ScratchFile input({data, size});
    try {
        const SafetensorsFile file(input.path());
        unsigned sum = 0;
        for (const SafetensorsEntry& tensor : file.tensors())
            for (const std::byte byte : tensor.bytes)
                sum += std::to_integer<unsigned>(byte);
        return sum == 0xffffffffu ? -1 : 0; // so that the reads are not optimised away
    } catch (const CheckpointError&) {
        return 0;
    }
}
