// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/replay.h"
#include "tests/capture/cache/tiny_prompt.h"
#include "tests/capture/model/tiny_llama.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <optional>

namespace kvloupe {
namespace {

/// A prompt and what the plain model generates after it. In layer 0 queries and keys are those of the tokens alone, so
/// that a replay of the first layer, fed the same tokens, is exact whatever was evicted.
class LivePolicies : public testing::TestWithParam<std::string> {
protected:
    static constexpr int promptTokens = 60;
    static constexpr int steps = 34;

    LivePolicies()
    {
        // Softer attention than random weights give, so that no weights are lost below the smallest float and tie, and
        // nothing that ends a text.
        TinyLlama llama({});
        for (const char* layer : {"0", "1"})
            for (float& weight : llama.tensor(std::string("model.layers.") + layer + ".self_attn.q_proj.weight"))
                weight *= 0.3F;
        llama.write(folder);
        nlohmann::json config = nlohmann::json::parse(std::ifstream(folder.path() / "config.json"));
        config.erase("eos_token_id");
        folder.write("config.json", config.dump());
        model = Transformer::load(*Checkpoint::open(folder.path()));
        recording.emplace(recordTiny(recordings, ids, steps, folder.path()));
        const std::vector<std::int32_t> all = recording->readText(0).ids;
        generated.assign(all.begin() + promptTokens, all.end());
    }

    static std::vector<std::int32_t> seen(const HeadTimeline& timeline, std::size_t step)
    {
        std::vector<std::int32_t> positions;
        for (const TokenRange& range : timeline.visible[step])
            for (std::int64_t position = range.begin; position < range.end; ++position)
                positions.push_back(static_cast<std::int32_t>(position));
        return positions;
    }

    TemporaryFolder folder;
    std::vector<std::int32_t> ids = tinyIds(promptTokens);
    TemporaryFolder recordings;
    std::unique_ptr<Transformer> model;
    std::optional<Recording> recording;
    std::vector<std::int32_t> generated;
};

TEST_P(LivePolicies, DecideInTheFirstLayerAsAReplayDoes)
{
    ASSERT_EQ(std::ssize(generated), steps);
    const PromptLayout layout = tinyLayout(promptTokens);
    const std::vector<Method> methods{parseMethod(GetParam())};
    ASSERT_NE(methods.front().decodePolicy, nullptr);
    const Replay replay(*recording);
    const std::vector<ScoredSample> replayed = replay.score(0, layout, methods);
    const LivePrompt live(onCpu(*model), ids, layout, methods);
    std::int64_t evicted = 0;
    std::int64_t hidden = 0;
    for (const char* keep : {"0.1", "0.25", "0.4", "0.7"}) {
        const CacheTimeline timeline = replay.timeline(0, replayed.front(), Budget::keep(keep));
        ASSERT_EQ(timeline.steps, std::ssize(generated));
        std::vector<Branch> branch{live.branch(0, Budget::keep(keep))};
        ASSERT_EQ(branch[0].alive(0).sets, timeline.aliveAfter(0).at(0).sets);
        for (std::size_t step = 0; step < generated.size(); ++step) {
            const KeepSet before = branch[0].alive(0);
            BatchDecoder(onCpu(*model)).step(pointersTo(branch), std::span(&generated[step], 1));
            const KeepSet expected = timeline.aliveAfter(static_cast<std::int64_t>(step) + 1).at(0);
            const KeepSet alive = branch[0].alive(0);
            ASSERT_EQ(alive.sets, expected.sets) << "keep " << keep << ", step " << step;
            const std::vector<HeadTimeline>& heads = timeline.layers.at(0);
            for (std::size_t set = 0; set < heads.size(); ++set) {
                evicted += std::ssize(before.sets[set]) + 1 - std::ssize(alive.sets[set]);
                if (heads[set].visible.empty())
                    continue;
                std::vector<std::int32_t> visible = before.sets[set];
                visible.push_back(static_cast<std::int32_t>(promptTokens + step));
                const auto unseen = branch[0].layer(0).unseen(static_cast<int>(set));
                hidden += std::ssize(unseen);
                std::erase_if(visible, [&](std::int32_t at) { return std::ranges::binary_search(unseen, at); });
                ASSERT_EQ(visible, seen(heads[set], step)) << "keep " << keep << ", step " << step;
            }
        }
    }
    EXPECT_GT(evicted + hidden, 0) << "the test has not tested anything";
}

INSTANTIATE_TEST_SUITE_P(Methods, LivePolicies,
    testing::Values("h2o:variant=drop", "h2o:variant=mask", "h2o@paper", "h2o:variant=drop,granularity=layer",
        "h2o:variant=drop,gqa_reduce=max", "tova@paper", "quest:dense_layers=0,page=4",
        "quest:dense_layers=0,page=4,level=kv_head", "shotkv", "shotkv:decode_alpha=cumulative,decode_interval=4",
        "streaming_llm:phase=every_step", "streaming_llm@paper", "rkv:interval=4", "rkv:interval=1,kernel=3,window=4"),
    [](const auto& test) {
        std::string name = test.param;
        std::ranges::replace_if(
            name, [](unsigned char c) { return !std::isalnum(c); }, '_');
        return name;
    });

} // namespace
} // namespace kvloupe
