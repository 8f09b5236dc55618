// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace kvloupe {

/// What the classes of one architecture fix beyond what its configurations say, and what they take where those say
/// nothing (transformers, models/*/configuration_*.py and modeling_*.py). Adding an architecture is an entry here, a
/// case of make_architecture_reference.py and, where it does something new, an option of ModelConfig.
struct Architecture {
    std::string_view name; ///< as in ModelConfig, in GGUF files and, but for textModelType, in config.json
    std::string_view textModelType = {}; ///< "model_type" where config.json describes the text part alone

    /// Which layers have a sliding window, if a configuration gives one.
    enum class Windows { None, EveryLayer, AfterMaxWindowLayers, AllButEveryNth, WithoutRope };
    Windows windows = Windows::None;
    enum class AttentionBias { None, Qkv, Configured };
    AttentionBias attentionBias = AttentionBias::Configured;
    bool configuredMlpBias = false; ///< "mlp_bias" counts
    bool fusedProjections = false;
    bool qkNorm = false;
    bool outputNorms = false;
    bool offsetNorms = false; ///< norms multiply by 1 + the stored gain; in GGUF files by the gain
    bool scaledEmbeddings = false; ///< by the square root of the hidden size
    bool ownAttentionScale = false; ///< query_pre_attn_scalar ^ -1/2
    bool localRope = false; ///< layers with a window have a RoPE of their own
    bool ropeFreeLayers = false;
    bool ggufPermuted = false; ///< llama.cpp's converter orders the rows of queries and keys for pairs side by side

    // What config.json may leave out; 0: it may not, or what is said.
    int vocabSize = 0;
    int numHeads = 0;
    int numKvHeads = 0; ///< 0: as many as query heads
    int headDim = 0; ///< 0: hidden size / query heads
    std::int64_t maxPositions = 2048;
    std::int64_t originalContext = 0; ///< 0: maxPositions
    std::int64_t window = 0;
    double rmsNormEps = 1e-6;
    double ropeTheta = 10000;
    bool tiedEmbeddings = false;
    Activation activation = Activation::Silu;
};

std::span<const Architecture> architectures();
/// By either of its names; nullptr if it is not known.
const Architecture* findArchitecture(std::string_view name);

} // namespace kvloupe
