// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/rope_variant.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace kvloupe {

/// The rules by which models reach beyond the context that they were first trained with, in float32 step by step as in
/// transformers (modeling_rope_utils.py). Parameters are those of config.json, checked by whoever read them: factors
/// positive, contexts at least 1.

RopeVariant plainRope(double theta, int headDim);
/// No rotation at all.
RopeVariant withoutRope(int headDim);
/// All frequencies divided by `factor` (Chen et al. 2023, arXiv 2306.15595).
RopeVariant linearRope(double theta, int headDim, double factor);
/// Theta grows with texts beyond `context` ("NTK-aware"); headDim is at least 4.
RopeVariant dynamicRope(double theta, int headDim, double factor, std::int64_t context);

/// Llama 3.1: long wavelengths are divided by `factor`, short ones stay, those between are blended.
struct Llama3Scaling {
    double factor = 0;
    double lowFrequencyFactor = 0;
    double highFrequencyFactor = 0; ///< above lowFrequencyFactor
    std::int64_t originalContext = 0;
};
RopeVariant llama3Rope(double theta, int headDim, const Llama3Scaling& scaling);

/// YaRN (Peng et al. 2023, arXiv 2309.00071): as Llama 3.1's by the number of turns in the original context, with a
/// larger amplitude. Theta is above 1.
struct YarnScaling {
    double factor = 0;
    std::int64_t originalContext = 0;
    std::optional<double> attentionFactor; ///< the amplitude; by `factor` where it is not given
    double mscale = 0; ///< 0: not given
    double mscaleAllDim = 0;
    double betaFast = 32; ///< turns
    double betaSlow = 1;
    bool truncate = true; ///< the ends of the blend are whole dimensions
};
RopeVariant yarnRope(double theta, int headDim, const YarnScaling& scaling);

/// LongRoPE (Ding et al. 2024, arXiv 2402.13753): one divisor per frequency, others in texts beyond the original
/// context.
struct LongRopeScaling {
    std::vector<float> shortFactors; ///< [head_dim / 2]
    std::vector<float> longFactors; ///< [head_dim / 2]
    std::int64_t originalContext = 0; ///< at least 2
    double factor = 0; ///< the amplitude follows from it unless it is given
    std::optional<double> attentionFactor;
};
RopeVariant longRope(double theta, int headDim, const LongRopeScaling& scaling);

} // namespace kvloupe
