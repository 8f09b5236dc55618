// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/sample_model.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kvloupe {

/// A sample made of the bytes of its tokens, in order: `text` is their concatenation. A token written as "<s>" or
/// "</s>" has no characters in the text.
inline SampleModelPtr sampleOf(
    const std::vector<std::string>& tokens, std::int64_t promptTokens = -1, std::vector<Span> spans = {})
{
    auto sample = std::make_shared<SampleModel>();
    const auto total = static_cast<std::int64_t>(tokens.size());
    sample->info.promptTokens = promptTokens < 0 ? total : promptTokens;
    sample->info.totalTokens = total;
    for (const std::string& token : tokens) {
        const bool special = token == "<s>" || token == "</s>";
        const auto begin = static_cast<std::int64_t>(sample->text.text.size());
        if (!special)
            sample->text.text += token;
        sample->text.offsets.push_back({begin, static_cast<std::int64_t>(sample->text.text.size())});
        sample->text.pieces.push_back(token);
        sample->text.ids.push_back(static_cast<std::int32_t>(100 + sample->text.ids.size()));
    }
    sample->text.spans = spans;
    sample->tokens = TokenText(sample->text);
    sample->layout = PromptLayout(sample->info.promptTokens, total, std::move(spans));
    sample->model.name = "test";
    sample->model.numLayers = 2;
    sample->model.numHeads = 4;
    sample->model.numKvHeads = 2;
    sample->model.headDim = 8;
    return sample;
}

} // namespace kvloupe
