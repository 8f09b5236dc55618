// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kvloupe {

/// How RoPE turns queries and keys (Su et al. 2021, arXiv 2104.09864, section 3.2.2; the half-split layout of Hugging
/// Face). A model has one variant or several (local and global layers of Gemma 3, layers without RoPE of SmolLM3).
///
/// Frequencies are float32 numbers computed step by step as transformers computes them (modeling_rope_utils.py): more
/// exact ones would not be what the models are run with, and differ by 1e-4 radians after a few thousand tokens.
struct RopeVariant {
    std::string scaling = "default"; ///< "none" (layers without RoPE), "default", "linear", "dynamic", "yarn", ...
    double theta = 10000;
    std::vector<float> frequencies; ///< radians per position, [head_dim / 2]; all 0 without RoPE
    double attentionScaling = 1.0; ///< amplitude of cosines and sines (YaRN, LongRoPE)

    /// Tokens of the context the model was first trained with; 0 where frequencies do not depend on the text's length.
    std::int64_t originalContext = 0;
    std::vector<float> longFrequencies; ///< LongRoPE: of texts beyond originalContext, [head_dim / 2]; else empty
    double dynamicFactor = 0.0; ///< dynamic NTK: how theta grows in texts beyond originalContext; else 0

    /// Of a text that has `tokens` tokens so far.
    std::vector<float> frequenciesOf(std::int64_t tokens) const;
    /// Whether a text that grows from one length to the other changes to other frequencies at once (LongRoPE): what was
    /// computed before is of no use then, and transformers starts over.
    bool switchesBetween(std::int64_t tokensBefore, std::int64_t tokensAfter) const;
};

/// theta^(2i / headDim).
float plainPower(double theta, int headDim, std::size_t i);
/// 1 / theta^(2i / headDim), [headDim / 2].
std::vector<float> plainFrequencies(double theta, int headDim);

} // namespace kvloupe
