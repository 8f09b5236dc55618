// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/adapter/adapter.h"
#include "capture/adapter/adapter_files.h"
#include "fuzz/scratch_folder.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// The configuration and the facts, each behind its length, then the weights.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace kvloupe;
    static const ScratchFolder folder;
    InputParts parts({reinterpret_cast<const char*>(data), size});
    folder.replace(adapterConfigFile, parts.take());
    folder.replace(adapterFactsFile, parts.take());
    folder.replace(adapterWeightsFile, parts.rest());
    ModelConfig config;
    config.numLayers = 2;
    config.numHeads = 4;
    config.numKvHeads = 2;
    config.headDim = 8;
    config.hiddenSize = 32;
    config.intermediateSize = 48;
    config.vocabSize = 64;
    try {
        const auto adapter = Adapter::read(folder.path());
        adapter->check(config);
        std::vector<float> values(32 * 48);
        for (const char* name : {"self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"})
            adapter->addTo(std::string("model.layers.1.") + name + ".weight", 0, 32, values);
    } catch (const AdapterError&) {
        // A refusal is what most inputs deserve.
    }
    return 0;
}
