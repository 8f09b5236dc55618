// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/model_config.h"
#include "capture/checkpoint/model_estimate.h"
#include "capture/checkpoint/safetensors_checkpoint.h"
#include "fuzz/scratch_folder.h"

#include <cstdint>

/// config.json, generation_config.json and model.safetensors.index.json, each but the last behind its length.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    static const ScratchFolder folder;
    InputParts parts({reinterpret_cast<const char*>(data), size});
    folder.replace("config.json", parts.take());
    folder.replace("generation_config.json", parts.take());
    folder.replace("model.safetensors.index.json", parts.rest());
    try {
        estimateModel(configFromFolder(folder.path()));
        const SafetensorsCheckpoint checkpoint(folder.path());
    } catch (const CheckpointError&) {
        // A refusal is what every index deserves: there are no shards. So do most configurations.
    }
    return 0;
}
