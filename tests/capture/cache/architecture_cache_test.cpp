// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/replay.h"
#include "tests/capture/cache/tiny_prompt.h"
#include "tests/support/architecture_reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace kvloupe {
namespace {

/// Live caches of models whose layers have windows, no RoPE, two kinds of RoPE or scaled ones.
class ArchitectureCache : public testing::TestWithParam<std::string> {
protected:
    ArchitectureCache()
        : reference(GetParam())
        , path(reference.writeFolder(folder))
        , model(Transformer::load(*Checkpoint::open(path), {2, {}}))
    {
    }

    TemporaryFolder folder;
    ArchitectureCase reference;
    std::filesystem::path path;
    std::unique_ptr<Transformer> model;
};

TEST_P(ArchitectureCache, OfEverythingSaysWhatTransformersSays)
{
    const LivePrompt live(onCpu(*model), reference.ids, PromptLayout(std::ssize(reference.ids)),
        {parseMethod("full"), parseMethod("snapkv")});
    std::vector<Branch> branches{live.branch(0, Budget::keep("1")), live.branch(1, Budget::keep("1"))};
    BatchDecoder::GenerateOptions options;
    options.maxTokens = std::ssize(reference.greedy);
    const auto generated = BatchDecoder(onCpu(*model)).generateGreedy(pointersTo(branches), options);
    EXPECT_EQ(generated[0].ids, reference.greedy);
    EXPECT_EQ(generated[1].ids, reference.greedy);
}

TEST_P(ArchitectureCache, IsCutAsAReplayOfItsRecordingCuts)
{
    const Recording recording = recordTiny(folder, reference.ids, 0, path);
    const PromptLayout layout = tinyLayout(std::ssize(reference.ids));
    std::vector<Method> methods = everyMethod();
    std::erase_if(methods, [](const Method& method) { return method.layerPruner != nullptr; });
    const std::vector<ScoredSample> replayed = Replay(recording).score(0, layout, methods);
    const LivePrompt live(onCpu(*model), reference.ids, layout, methods);
    for (std::size_t i = 0; i < methods.size(); ++i)
        for (const char* keep : {"0.2", "0.6"})
            EXPECT_EQ(live.scored(i)->choose(Budget::keep(keep)).kept, replayed[i].choose(Budget::keep(keep)).kept)
                << methods[i].spec << " " << keep;
}

INSTANTIATE_TEST_SUITE_P(Models, ArchitectureCache,
    testing::Values(
        "gemma3", "mistral_window", "qwen2_window", "qwen3_yarn", "smollm3", "phi3_longrope_long", "llama_dynamic"),
    [](const auto& named) { return named.param; });

} // namespace
} // namespace kvloupe
