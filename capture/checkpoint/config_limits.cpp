// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/config_limits.h"

#include "capture/checkpoint/architecture.h"
#include "capture/checkpoint/checkpoint_error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

namespace kvloupe {

void checkArchitecture(std::string_view architecture, std::string_view field, const FieldError& fail)
{
    const auto known = knownArchitectures();
    if (findArchitecture(architecture) == nullptr)
        fail(field,
            fmt::format(
                "the architecture {} is not known (known: {})", inQuotes(architecture), fmt::join(known, ", ")));
}

void checkConsistency(const ModelConfig& config, const FieldError& fail)
{
    if (config.numHeads % config.numKvHeads != 0)
        fail("number of KV heads",
            fmt::format("{} KV heads do not divide {} query heads", config.numKvHeads, config.numHeads));
    if (config.headDim % 2 != 0)
        fail("head dimension", fmt::format("found {}, rotary embedding needs an even number", config.headDim));
    if (!(config.rmsNormEps > 0 && config.rmsNormEps < 1))
        fail("RMS norm epsilon", fmt::format("found {}, expected a number between 0 and 1", config.rmsNormEps));
    for (const RopeVariant& rope : config.ropes) {
        if (!(rope.theta >= 1 && std::isfinite(rope.theta)))
            fail("RoPE theta", fmt::format("found {}, expected a finite number of at least 1", rope.theta));
        for (const std::vector<float>* const frequencies : {&rope.frequencies, &rope.longFrequencies})
            for (const float frequency : *frequencies)
                if (!(frequency >= 0 && std::isfinite(frequency)))
                    fail("RoPE scaling", fmt::format("found the frequency {}, expected a positive number", frequency));
        if (!(rope.attentionScaling > 0 && std::isfinite(rope.attentionScaling)))
            fail("RoPE scaling",
                fmt::format("found the amplitude {}, expected a positive number", rope.attentionScaling));
    }
    if (std::ssize(config.layers) != config.numLayers)
        fail("layers", fmt::format("found options of {}, expected {}", config.layers.size(), config.numLayers));
    for (const LayerOptions& layer : config.layers)
        if (layer.window < 0 || layer.rope < 0 || layer.rope >= std::ssize(config.ropes))
            fail("layers", "a window or a RoPE is out of range");
    if (!(config.attentionScale > 0 && std::isfinite(config.attentionScale)))
        fail("attention scale", fmt::format("found {}, expected a positive number", config.attentionScale));
    if (config.bosId >= config.vocabSize)
        fail("beginning-of-sequence id",
            fmt::format("{} is outside the vocabulary of {}", config.bosId, config.vocabSize));
    for (const std::int32_t id : config.eosIds)
        if (id < 0 || id >= config.vocabSize)
            fail("end-of-sequence id", fmt::format("{} is outside the vocabulary of {}", id, config.vocabSize));
}

} // namespace kvloupe
