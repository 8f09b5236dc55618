// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/architecture.h"

#include <algorithm>
#include <array>

namespace kvloupe {

namespace {

using Windows = Architecture::Windows;
using AttentionBias = Architecture::AttentionBias;

constexpr std::array table = {
    Architecture{
        .name = "gemma3",
        .textModelType = "gemma3_text",
        .windows = Windows::AllButEveryNth,
        .qkNorm = true,
        .outputNorms = true,
        .offsetNorms = true,
        .scaledEmbeddings = true,
        .ownAttentionScale = true,
        .localRope = true,
        .vocabSize = 262208,
        .numHeads = 8,
        .numKvHeads = 4,
        .headDim = 256,
        .maxPositions = 131072,
        .window = 4096,
        .ropeTheta = 1000000,
        .tiedEmbeddings = true,
        .activation = Activation::GeluTanh,
    },
    Architecture{
        .name = "llama",
        .configuredMlpBias = true,
        .ggufPermuted = true,
    },
    Architecture{
        .name = "mistral",
        .windows = Windows::EveryLayer,
        .attentionBias = AttentionBias::None,
        .maxPositions = 131072,
        .window = 4096,
    },
    Architecture{
        .name = "phi3",
        .windows = Windows::EveryLayer,
        .attentionBias = AttentionBias::None,
        .fusedProjections = true,
        .maxPositions = 4096,
        .originalContext = 4096,
        .rmsNormEps = 1e-5,
    },
    Architecture{
        .name = "qwen2",
        .windows = Windows::AfterMaxWindowLayers,
        .attentionBias = AttentionBias::Qkv,
        .maxPositions = 32768,
        .window = 4096,
    },
    Architecture{
        .name = "qwen3",
        .windows = Windows::AfterMaxWindowLayers,
        .qkNorm = true,
        .headDim = 128,
        .maxPositions = 32768,
        .window = 4096,
    },
    Architecture{
        .name = "smollm3",
        .windows = Windows::WithoutRope,
        .configuredMlpBias = true,
        .ropeFreeLayers = true,
        .ggufPermuted = true,
        .maxPositions = 32768,
        .ropeTheta = 2000000,
        .tiedEmbeddings = true,
    },
};

} // namespace

std::span<const Architecture> architectures()
{
    return table;
}

const Architecture* findArchitecture(std::string_view name)
{
    const auto found = std::ranges::find_if(
        table, [&](const Architecture& known) { return name == known.name || name == known.textModelType; });
    return found == table.end() || name.empty() ? nullptr : &*found;
}

} // namespace kvloupe
