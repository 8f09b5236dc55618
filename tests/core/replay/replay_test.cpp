// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/replay.h"

#include "core/methods/method_registry.h"
#include "core/replay/replay_json.h"
#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <numeric>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

SyntheticRecording smallOptions(RecordKind kind)
{
    SyntheticRecording options;
    options.headDim = 16;
    options.promptTokens = 150;
    options.generatedTokens = 12;
    options.kind = kind;
    options.outputNorms = true;
    return options;
}

Recording recorded(const TemporaryFolder& folder, const SyntheticRecording& options, const char* name = "r.h5")
{
    makeRecording(folder.path() / name, options);
    return Recording::open(folder.path() / name);
}

std::vector<Method> allMethods()
{
    std::vector<Method> methods;
    for (const MethodInfo& info : methodRegistry())
        if (!info.takesPath)
            methods.push_back(parseMethod(info.name));
    return methods;
}

/// What is left of `methods` for recordings without queries, keys and values.
std::vector<Method> onStatistics(const std::vector<Method>& methods, const PromptLayout& layout)
{
    std::vector<Method> result;
    for (const Method& method : methods)
        if (const EvidenceNeeds needs = method.needs(layout);
            !needs.keys && !needs.values && needs.lastQueries == 0 && !method.layerPruner)
            result.push_back(method);
    return result;
}

/// Needs every generated row, evicts nothing.
class WatchingPolicy final : public DecodePolicy {
public:
    std::unique_ptr<DecodePolicy> clone() const override { return std::make_unique<WatchingPolicy>(*this); }
    Granularity granularity() const override { return Granularity::KvHead; }
    DecodeNeeds needs() const override { return {true, false, false, 0}; }
    std::vector<std::int32_t> begin(const DecodeStart&) override { return {}; }
    DecodeVerdict step(const DecodeStep& step) override
    {
        EXPECT_NEAR(std::accumulate(step.attention.begin(), step.attention.end(), 0.0), 1.0, 1e-5);
        return {};
    }
};

TEST(Replay, KeepsTheSameFromEveryKindOfRecording)
{
    const TemporaryFolder folder;
    const Recording full = recorded(folder, smallOptions(RecordKind::Full), "full.h5");
    const Recording queriesKeys = recorded(folder, smallOptions(RecordKind::QueriesKeys), "qk.h5");
    const Recording statistics = recorded(folder, smallOptions(RecordKind::Statistics), "statistics.h5");
    const auto compare = [](const Recording& one, const Recording& other, const std::vector<Method>& methods) {
        const auto a = Replay(one).score(0, methods);
        const auto b = Replay(other).score(0, methods);
        for (std::size_t i = 0; i < methods.size(); ++i)
            for (const char* keep : {"0.05", "0.3", "0.9", "1"}) {
                const auto kept = a[i].choose(Budget::keep(keep)).kept;
                EXPECT_EQ(kept.size(), 2U);
                EXPECT_EQ(kept, b[i].choose(Budget::keep(keep)).kept) << methods[i].name << " " << keep;
            }
    };
    const std::vector<Method> methods = allMethods();
    const std::vector<Method> few = onStatistics(methods, promptLayout(statistics, 0));
    ASSERT_GE(few.size(), 5U);
    compare(full, queriesKeys, methods);
    compare(full, statistics, few);
    for (const Method& method : methods) {
        const bool served = std::ranges::any_of(few, [&](const Method& other) { return other.name == method.name; });
        if (!served) {
            EXPECT_THROW(Replay(statistics).score(0, std::span(&method, 1)), RecordingError) << method.name;
        }
    }
}

TEST(Replay, MeetsTheBudgetInEveryLayerAndHead)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions(RecordKind::Statistics));
    std::vector<Method> methods;
    for (const char* spec : {"full", "streaming_llm", "h2o", "snapkv", "random"})
        methods.push_back(parseMethod(spec));
    const auto scored = Replay(recording).score(0, methods);
    for (const ScoredSample& sample : scored)
        for (const char* keep : {"0.01", "0.29", "0.5", "1"}) {
            const ReplayResult result = sample.choose(Budget::keep(keep));
            const std::int64_t expected = Budget::keep(keep).tokensKept(150);
            EXPECT_EQ(result.requestedTokens, expected);
            for (int layer = 0; layer < 2; ++layer)
                for (int head = 0; head < 2; ++head)
                    EXPECT_EQ(result.realisedTokens(layer, head), sample.method().name == "full" ? 150 : expected)
                        << sample.method().name << " " << keep;
            EXPECT_THROW(result.realisedTokens(2, 0), MethodError);
            EXPECT_THROW(result.realisedTokens(0, 2), MethodError);
            EXPECT_EQ(sample.chooseLayer(Budget::keep(keep), 1), result.kept.at(1));
            EXPECT_THROW(sample.chooseLayer(Budget::keep(keep), 2), MethodError);
        }
}

TEST(Replay, RetainsAllAttentionWhenAllIsKeptAndTheSumOtherwise)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions(RecordKind::QueriesKeys));
    const Replay replay(recording);
    const auto scored = replay.score(0, allMethods());
    std::vector<ReplayResult> results;
    for (const ScoredSample& sample : scored)
        results.push_back(sample.choose(Budget::keep("0.3")));
    replay.addRetainedMass(0, results, 3);

    EvidenceNeeds needs;
    needs.lastRows = 3;
    const OwnedEvidence evidence = EvidenceBuilder(recording).build(0, 1, needs);
    for (std::size_t i = 0; i < results.size(); ++i) {
        ASSERT_EQ(results[i].retainedMass.size(), 2U);
        const auto& mass = results[i].retainedMass.at(1);
        ASSERT_EQ(mass.size(), 4U);
        for (int head = 0; head < 4; ++head) {
            double expected = 0.0;
            for (std::int64_t row = 0; row < 3; ++row)
                for (const std::int32_t position : results[i].kept.at(1).sets[static_cast<std::size_t>(head / 2)])
                    expected
                        += static_cast<double>(evidence.view.lastRow(head, row)[static_cast<std::size_t>(position)])
                        / 3;
            EXPECT_NEAR(mass[static_cast<std::size_t>(head)], expected, 1e-6) << scored[i].method().name;
        }
    }
    EXPECT_NEAR(results.front().retainedMass.at(0).at(0), 1.0, 1e-6) << "full";
}

TEST(Replay, ShiftsPositionsInLayersWithASlidingWindow)
{
    const TemporaryFolder folder;
    SyntheticRecording options = smallOptions(RecordKind::QueriesKeys);
    options.window = 20;
    const Recording recording = recorded(folder, options);
    const Replay replay(recording);
    const std::vector<Method> methods{parseMethod("streaming_llm:n_sink=1"), parseMethod("snapkv:window=4")};
    const auto scored = replay.score(0, methods);
    ReplayResult result = scored[0].choose(Budget::keep("0.2"));
    EXPECT_THAT(result.kept.at(0).sets.at(1), ElementsAre(130, 147, 148, 149))
        << "a fifth of the 20 tokens in the cache";
    result = scored[1].choose(Budget::capacity(20));
    EXPECT_EQ(result.kept.at(0).sets.at(0).front(), 130);
    replay.addRetainedMass(0, result);
    EXPECT_NEAR(result.retainedMass.at(0).at(3), 1.0, 1e-6);
}

TEST(Replay, RunsASlidingWindowOverTheGeneratedTokens)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions(RecordKind::Statistics));
    const Replay replay(recording);
    const std::vector<Method> methods{parseMethod("streaming_llm@paper:n_sink=2"), parseMethod("snapkv")};
    const auto scored = replay.score(0, methods);
    const CacheTimeline sliding = replay.timeline(0, scored[0], Budget::capacity(5));
    EXPECT_EQ(sliding.steps, 12);
    EXPECT_EQ(sliding.fidelity, Fidelity::Exact);
    EXPECT_THAT(sliding.aliveAfter(0).at(1).sets.at(1), ElementsAre(0, 1, 147, 148, 149));
    EXPECT_THAT(sliding.aliveAfter(12).at(1).sets.at(1), ElementsAre(0, 1, 159, 160, 161));

    const CacheTimeline growing = replay.timeline(0, scored[1], Budget::capacity(5), 3);
    EXPECT_THAT(growing.aliveAfter(3).at(0).sets.at(0), ElementsAre(145, 146, 147, 148, 149, 150, 151, 152));
    EXPECT_THROW(replay.timeline(0, scored[1], Budget::capacity(5), 13), MethodError);
    EXPECT_THROW(replay.timeline(0, scored[1], Budget::capacity(5), -1), MethodError);
}

TEST(Replay, HoldsACapacityThatIsLargerThanThePrompt)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions(RecordKind::QueriesKeys));
    const Method method = parseMethod("streaming_llm@paper");
    const Replay replay(recording);
    const auto scored = replay.score(0, std::span(&method, 1));
    const auto aliveAtTheEnd = [&](std::int64_t capacity) {
        const CacheTimeline timeline = replay.timeline(0, scored.front(), Budget::capacity(capacity));
        return timeline.aliveAfter(timeline.steps).at(0).sets.at(0).size();
    };
    EXPECT_EQ(aliveAtTheEnd(100), 100U);
    EXPECT_EQ(aliveAtTheEnd(155), 155U) << "150 prompt tokens leave room for 5 of the 12 generated ones";
    EXPECT_EQ(aliveAtTheEnd(1000), 162U);
}

TEST(Replay, ReadsGeneratedRowsForPoliciesThatWantThem)
{
    const TemporaryFolder folder;
    const Recording queriesKeys = recorded(folder, smallOptions(RecordKind::QueriesKeys), "qk.h5");
    const Recording statistics = recorded(folder, smallOptions(RecordKind::Statistics), "statistics.h5");
    Method watching = parseMethod("snapkv");
    watching.decodePolicy = std::make_shared<WatchingPolicy>();
    const std::vector<Method> methods{watching};
    const CacheTimeline timeline
        = Replay(queriesKeys).timeline(0, Replay(queriesKeys).score(0, methods).front(), Budget::keep("0.2"));
    EXPECT_EQ(timeline.fidelity, Fidelity::Renormalised);
    EXPECT_EQ(timeline.aliveAfter(12).at(0).sets.at(0).size(), 30U + 12U);
    const auto scored = Replay(statistics).score(0, methods);
    EXPECT_THROW(Replay(statistics).timeline(0, scored.front(), Budget::keep("0.2")), RecordingError);
}

TEST(Replay, SaysWhatAMethodLacks)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions(RecordKind::Statistics));
    const std::vector<Method> methods{parseMethod("snapkv:window=100")};
    try {
        Replay(recording).score(0, methods);
        FAIL();
    } catch (const RecordingError& error) {
        EXPECT_THAT(error.what(), HasSubstr("--record qk"));
    }
}

TEST(ReplayJson, IsOneLineWithTheFieldsOfTheContract)
{
    const Method method = parseMethod("snapkv@kvpress:window=2");
    ReplayResult result;
    result.kept[3] = {Granularity::KvHead, {{0, 4}, {1, 4}}};
    result.retainedMass[3] = {0.1F, 0.25F, 0.5F, 1.0F};
    result.requestedTokens = 2;
    ReplayContext context{7, "a \"quoted\"\nid", 5, "end", Fidelity::Exact};
    const std::string line = replayJson(context, method, Budget::keep("0.4"), result);
    EXPECT_THAT(line, Not(HasSubstr("\n")));
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json.at("sample"), 7);
    EXPECT_EQ(json.at("id"), "a \"quoted\"\nid");
    EXPECT_EQ(json.at("method"), "snapkv");
    EXPECT_EQ(json.at("parameters").at("window"), "2");
    EXPECT_EQ(json.at("keep"), 0.4);
    EXPECT_EQ(json.at("granularity"), "kv_head");
    EXPECT_EQ(json.at("fidelity"), "exact");
    EXPECT_EQ(json.at("requested"), 2);
    EXPECT_EQ(json.at("realised"), nlohmann::json::parse(R"({"3": {"0": 2, "1": 2}})"));
    EXPECT_EQ(json.at("kept"), nlohmann::json::parse(R"({"3": {"0": [0, 4], "1": [1, 4]}})"));
    EXPECT_EQ(json.at("retained_mass"), nlohmann::json::parse(R"({"3": {"0": 0.1, "1": 0.25, "2": 0.5, "3": 1.0}})"));
    result.retainedMass.clear();
    EXPECT_TRUE(
        nlohmann::json::parse(replayJson(context, method, Budget::keep("0.4"), result)).at("retained_mass").is_null());
}

TEST(ReplayCsv, HasOneLinePerLayerAndHead)
{
    const Method method = parseMethod("streaming_llm");
    ReplayResult result;
    result.kept[0] = {Granularity::Layer, {{0, 4}, {0, 4}}};
    result.retainedMass[0] = {0.25F, 0.75F, 0.5F, 1.0F};
    result.requestedTokens = 2;
    const ReplayContext context{0, "x,y", 5, "prefill", Fidelity::Exact};
    const std::string common = "0,\"x,y\",streaming_llm,budget_rounding=auto;n_sink=4;phase=prefill_once;pos_mode=keep,"
                               "capacity=2,0.4,prefill,layer,exact,2,";
    EXPECT_EQ(replayCsv(context, method, Budget::capacity(2), result),
        common + "0,0,2,0.5,0 4\n" + common + "0,1,2,0.75,0 4\n");
    const std::string_view header = replayCsvHeader();
    EXPECT_EQ(std::count(header.begin(), header.end(), ','), 14);
}

TEST(Replay, LayersThatWereScoredOneByOneAreCutAlikeAndCanBeJoined)
{
    const TemporaryFolder folder;
    const auto path = folder.path() / "r.h5";
    makeRecording(path, {.layers = 3, .heads = 4, .kvHeads = 2, .headDim = 16, .promptTokens = 120});
    const Recording recording = Recording::open(path);
    const Method method = parseMethod("snapkv");
    const ScoredSample all = std::move(Replay(recording).score(0, std::span(&method, 1)).front());
    std::vector<std::shared_ptr<const ScoredSample>> layers;
    for (int layer = 0; layer < 3; ++layer)
        layers.push_back(std::make_shared<ScoredSample>(method, all.layout(), std::vector<int>{layer},
            std::vector<Scores>{all.scores()[static_cast<std::size_t>(layer)]}, 3, 2));
    const Budget budget = Budget::keep("0.3");
    const ReplayResult wanted = all.choose(budget);
    const std::vector<KeepSet> one = chooseLayers(layers, budget);
    const ReplayResult joined = ScoredSample::join(layers).choose(budget);
    for (int layer = 0; layer < 3; ++layer) {
        EXPECT_EQ(one[static_cast<std::size_t>(layer)], wanted.kept.at(layer));
        EXPECT_EQ(joined.kept.at(layer), wanted.kept.at(layer));
    }
}

} // namespace
} // namespace kvloupe
