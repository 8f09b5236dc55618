// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/prompt_check.h"

#include "capture/model/model_error.h"

#include <fmt/format.h>

namespace kvloupe {

void requirePrompt(const ModelConfig& config, std::span<const std::int32_t> ids, std::int64_t end)
{
    if (ids.empty())
        throw ModelError("prompt: found no tokens, expected at least one");
    if (end > config.maxPositions) {
        throw ModelError(fmt::format("prompt: found {} tokens, expected at most {}, the context of model {}", end,
            config.maxPositions, config.name));
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (ids[i] < 0 || ids[i] >= config.vocabSize) {
            throw ModelError(
                fmt::format("token {} of the prompt: found id {}, expected 0 to {}, the vocabulary of model {}", i,
                    ids[i], config.vocabSize - 1, config.name));
        }
    }
}

void requireSameRope(const ModelConfig& config, std::int64_t tokensBefore, std::int64_t tokensAfter)
{
    if (const std::string problem = config.growthProblem(tokensBefore, tokensAfter); !problem.empty())
        throw ModelError(fmt::format("model {}: {}", config.name, problem));
}

} // namespace kvloupe
