// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/branch.h"

#include "core/replay/evidence_builder.h"
#include "core/replay/replay.h"
#include "tests/capture/cache/tiny_prompt.h"
#include "tests/capture/model/tiny_llama.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace kvloupe {
namespace {

using testing::Each;
using testing::Lt;

/// A key of 8 channels turned by `positions`, in double.
std::vector<double> turned(std::span<const float> key, double positions, std::span<const float> frequencies)
{
    const std::size_t half = key.size() / 2;
    std::vector<double> result(key.size());
    for (std::size_t i = 0; i < half; ++i) {
        const double angle = positions * static_cast<double>(frequencies[i]);
        const double a = static_cast<double>(key[i]);
        const double b = static_cast<double>(key[half + i]);
        result[i] = a * std::cos(angle) - b * std::sin(angle);
        result[half + i] = b * std::cos(angle) + a * std::sin(angle);
    }
    return result;
}

double largestDifference(std::span<const float> a, std::span<const double> b)
{
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i]));
    return largest;
}

double largestDifference(std::span<const float> a, std::span<const float> b)
{
    return largestDifference(a, std::vector<double>(b.begin(), b.end()));
}

/// Expects logits that differ in their last digits only, whatever kernels the BLAS takes on this machine.
void expectSameLogits(std::span<const float> found, std::span<const float> expected)
{
    float largest = 0.0F;
    for (const float logit : expected)
        largest = std::max(largest, std::abs(logit));
    EXPECT_LT(largestDifference(found, expected), 2e-5 * static_cast<double>(largest));
}

/// The greedy tokens of the full cache.
std::vector<std::int32_t> plainTokens(const Transformer& model, std::span<const std::int32_t> ids, std::int64_t count)
{
    KvCache cache = model.makeCache(0);
    const PrefillResult prefill = model.prefill(ids, cache);
    return model.generateGreedy(cache, prefill.lastLogits, count, {});
}

TEST(Branch, KeepingAllGivesTheTokensOfThePlainRun)
{
    const auto model = tinyModel();
    std::vector<Method> methods = everyMethod();
    std::erase_if(methods, [](const Method& method) { return method.decodePolicy != nullptr; });
    ASSERT_GE(methods.size(), 15U);
    for (int seed = 0; seed < 3; ++seed) {
        const std::vector<std::int32_t> ids = tinyIds(120, seed);
        const LivePrompt live(onCpu(*model), ids, tinyLayout(120), methods);
        const std::vector<std::int32_t> expected = plainTokens(*model, ids, 40);
        std::vector<Branch> branches;
        for (std::size_t i = 0; i < methods.size(); ++i)
            branches.push_back(live.branch(i, Budget::keep("1")));
        const auto generated = BatchDecoder(onCpu(*model)).generateGreedy(pointersTo(branches), {.maxTokens = 40});
        for (std::size_t i = 0; i < methods.size(); ++i) {
            EXPECT_EQ(generated[i].ids, expected) << methods[i].spec;
            EXPECT_DOUBLE_EQ(branches[i].meanTokens(), 159.0);
            EXPECT_DOUBLE_EQ(generated[i].meanTokens, 120 + 19.0); // 120 to 158
        }
    }
}

TEST(Branch, KeepingAllTheRepeatedLastTokenChangesNothing)
{
    const auto model = tinyModel();
    const std::vector<std::int32_t> ids = tinyIds(90);
    const LivePrompt live(
        onCpu(*model), ids, PromptLayout(90), {parseMethod("full"), parseMethod("streaming_llm:pos_mode=rerotate")});
    std::vector<Branch> branches{live.branch(0, Budget::keep("1")), live.branch(1, Budget::keep("1"))};
    const BatchDecoder decoder(onCpu(*model));
    decoder.repeatLastToken(pointersTo(branches));
    for (const Branch& branch : branches) {
        EXPECT_EQ(branch.position(), 90);
        EXPECT_EQ(branch.rotaryPosition(), 90);
        EXPECT_NE(branch.promptLogits().data(), live.logits().data());
        expectSameLogits(branch.promptLogits(), live.logits());
    }
    for (const auto& generated : decoder.generateGreedy(pointersTo(branches), {.maxTokens = 20}))
        EXPECT_EQ(generated.ids, plainTokens(*model, ids, 20));
    EXPECT_THROW(decoder.repeatLastToken(pointersTo(branches)), Error); // tokens were generated
}

TEST(Branch, TheRepeatedLastTokenSeesTheCompressedCacheAndStaysOnlyWhereItWasKept)
{
    const auto model = tinyModel();
    const std::vector<std::int32_t> ids = tinyIds(100);
    // Knorm protects nothing, so some heads drop the last token; StreamingLLM keeps it.
    const LivePrompt live(onCpu(*model), ids, PromptLayout(100), {parseMethod("knorm"), parseMethod("streaming_llm")});
    std::vector<Branch> branches{live.branch(0, Budget::keep("0.3")), live.branch(1, Budget::keep("0.3"))};
    const std::vector<Branch> before = branches;
    BatchDecoder(onCpu(*model)).repeatLastToken(pointersTo(branches));
    bool dropped = false;
    for (std::size_t b = 0; b < 2; ++b) {
        for (int layer = 0; layer < 2; ++layer) {
            EXPECT_EQ(branches[b].alive(layer), before[b].alive(layer));
            for (const auto& set : before[b].alive(layer).sets)
                dropped |= set.back() != 99;
        }
        EXPECT_GT(largestDifference(branches[b].promptLogits(), live.logits()), 1e-3);
    }
    EXPECT_TRUE(dropped);
    EXPECT_EQ(before[0].promptLogits().data(), live.logits().data());

    // What layer 0 keeps of the last token is what it had: the token and its position are the same.
    const LayerCache& layer = branches[1].layer(0);
    EXPECT_LT(largestDifference(keyOf(layer, 0, 29), keyOf(before[1].layer(0), 0, 29)), 1e-5);
}

TEST(Branch, AdaKvIsReallyRagged)
{
    const auto model = tinyModel();
    const LivePrompt live(onCpu(*model), tinyIds(200), PromptLayout(200), {parseMethod("adakv")});
    const std::optional<Budget> none;
    Branch branch = live.branch(0, Budget::keep("0.3"), none);
    std::vector<std::int64_t> sizes;
    for (int layer = 0; layer < 2; ++layer)
        for (int list = 0; list < branch.layer(layer).lists(); ++list)
            sizes.push_back(branch.layer(layer).tokens(list));
    ASSERT_EQ(sizes.size(), 4U);
    EXPECT_EQ(sizes[0] + sizes[1], 120);
    EXPECT_EQ(sizes[2] + sizes[3], 120);
    EXPECT_TRUE(sizes[0] != sizes[1] || sizes[2] != sizes[3]);
    EXPECT_DOUBLE_EQ(branch.meanTokens(), 60.0);
    std::vector<Branch*> alone{&branch};
    BatchDecoder(onCpu(*model)).generateGreedy(alone, {.maxTokens = 10});
    for (int layer = 0; layer < 2; ++layer)
        for (int list = 0; list < 2; ++list)
            EXPECT_EQ(branch.layer(layer).tokens(list), sizes[static_cast<std::size_t>(2 * layer + list)] + 9);
}

TEST(Branch, RerotatedKeysStandWhereASlowReferencePutsThem)
{
    const auto model = tinyModel();
    const TemporaryFolder folder;
    const std::vector<std::int32_t> ids = tinyIds(150, 1);
    const std::int64_t steps = 30;
    const LivePrompt live(onCpu(*model), ids, PromptLayout(150),
        {parseMethod("streaming_llm@paper"), parseMethod("full"), parseMethod("adakv")});
    // The keys of layer 0 are those of the tokens, whatever was evicted: a full cache of the same tokens has them all.
    std::vector<Branch> branches{live.branch(0, Budget::keep("0.3")), live.branch(1, Budget::keep("1"))};
    const BatchDecoder decoder(onCpu(*model));
    for (std::int32_t step = 0; step < steps; ++step)
        decoder.step(pointersTo(branches), std::vector<std::int32_t>(2, 5 + step));
    EXPECT_EQ(branches[0].position(), 180);
    EXPECT_EQ(branches[0].rotaryPosition(), 45);
    for (int list = 0; list < 2; ++list) {
        const LayerCache& layer = branches[0].layer(0);
        ASSERT_EQ(layer.tokens(list), 45);
        EXPECT_EQ(layer.alive(list).back(), 179);
        for (std::size_t i = 0; i < 45; ++i) {
            const std::int32_t position = layer.alive(list)[i];
            const std::vector<double> expected
                = turned(keyOf(branches[1].layer(0), list, static_cast<std::size_t>(position)),
                    static_cast<double>(i) - position, model->config().rope(0).frequenciesOf(1));
            EXPECT_LT(largestDifference(keyOf(layer, list, i), expected), 2e-4) << list << " " << position;
        }
    }
}

TEST(Branch, RaggedListsAreRerotatedEachByItsOwnLength)
{
    const auto model = tinyModel();
    Method ragged = parseMethod("adakv");
    ragged.positions = PositionMode::Rerotate;
    const LivePrompt live(onCpu(*model), tinyIds(150, 1), PromptLayout(150), {ragged, parseMethod("full")});
    std::vector<Branch> branches{live.branch(0, Budget::keep("0.3")), live.branch(1, Budget::keep("1"))};
    for (std::int32_t step = 0; step < 5; ++step)
        BatchDecoder(onCpu(*model)).step(pointersTo(branches), std::vector<std::int32_t>(2, 5 + step));
    const LayerCache& layer = branches[0].layer(0);
    ASSERT_NE(layer.tokens(0), layer.tokens(1));
    for (int list = 0; list < 2; ++list)
        for (std::int64_t i = 0; i < layer.tokens(list); ++i) {
            const std::int32_t position = layer.alive(list)[static_cast<std::size_t>(i)];
            const std::vector<double> expected
                = turned(keyOf(branches[1].layer(0), list, static_cast<std::size_t>(position)),
                    static_cast<double>(i - position), model->config().rope(0).frequenciesOf(1));
            EXPECT_LT(largestDifference(keyOf(layer, list, static_cast<std::size_t>(i)), expected), 2e-4);
        }
}

TEST(Branch, MovingAWindowWithoutSinksTogetherChangesNothing)
{
    // Rotary attention knows differences of positions only.
    const auto model = tinyModel();
    const std::vector<Method> methods{parseMethod("streaming_llm:n_sink=0,phase=every_step"),
        parseMethod("streaming_llm:n_sink=0,phase=every_step,pos_mode=rerotate"),
        parseMethod("streaming_llm:n_sink=4,phase=every_step,pos_mode=rerotate"),
        parseMethod("streaming_llm:n_sink=4,phase=every_step")};
    const LivePrompt live(onCpu(*model), tinyIds(200), PromptLayout(200), methods);
    std::vector<Branch> branches;
    for (std::size_t i = 0; i < methods.size(); ++i)
        branches.push_back(live.branch(i, Budget::keep("0.2")));
    std::vector<float> logits;
    for (std::int32_t step = 0; step < 40; ++step)
        logits = BatchDecoder(onCpu(*model)).step(pointersTo(branches), std::vector<std::int32_t>(4, 7 + step % 9));
    const auto row = [&](std::size_t branch) { return std::span<const float>(logits).subspan(branch * 64, 64); };
    EXPECT_LT(largestDifference(row(0), row(1)), 2e-4);
    EXPECT_GT(largestDifference(row(2), row(3)), 1e-3);
}

TEST(Branch, CopiesGoTheirOwnWays)
{
    const auto model = tinyModel();
    const LivePrompt live(onCpu(*model), tinyIds(120), PromptLayout(120), {parseMethod("h2o:variant=drop")});
    std::vector<Branch> one{live.branch(0, Budget::keep("0.3"))};
    const BatchDecoder decoder(onCpu(*model));
    decoder.step(pointersTo(one), std::vector<std::int32_t>{9});
    std::vector<Branch> two = one;
    const auto first = decoder.generateGreedy(pointersTo(one), {.maxTokens = 12});
    EXPECT_EQ(two[0].position(), 121);
    EXPECT_NE(two[0].alive(0), one[0].alive(0));
    const auto second = decoder.generateGreedy(pointersTo(two), {.maxTokens = 12});
    EXPECT_EQ(first[0].ids, second[0].ids);
    for (int layer = 0; layer < 2; ++layer)
        EXPECT_EQ(two[0].alive(layer), one[0].alive(layer));
}

TEST(Branch, HoldsItsKeysAndValuesAndTenPercentMore)
{
    constexpr int dim = 64;
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    KvCache cache(2, 2, dim, 1000);
    std::vector<float> vectors(1000 * dim);
    std::ranges::generate(vectors, [&] { return normal(random); });
    std::vector<std::int64_t> positions(1000);
    for (std::size_t i = 0; i < positions.size(); ++i)
        positions[i] = static_cast<std::int64_t>(i);
    for (int layer = 0; layer < 2; ++layer)
        for (int head = 0; head < 2; ++head)
            cache.append(layer, head, vectors, vectors, positions);
    const auto prefill = cpuPromptCache(std::move(cache));
    const LayerPositions positionsOf{0, std::vector<float>(dim / 2, 0.01F)};
    PromptState prompt;
    prompt.shape = {2, 4, 2, dim, 0.125, std::make_shared<const std::vector<LayerPositions>>(2, positionsOf)};
    prompt.promptTokens = 1000;
    const auto shared = std::make_shared<const PromptState>(std::move(prompt));
    for (const std::size_t tokens : {200UL, 301UL, 999UL}) {
        std::map<int, KeepSet> kept;
        for (int layer = 0; layer < 2; ++layer) {
            KeepSet& keep = kept[layer];
            for (int head = 0; head < 2; ++head) {
                std::vector<std::int32_t>& set = keep.sets.emplace_back();
                for (std::size_t i = 0; i < tokens; ++i)
                    set.push_back(static_cast<std::int32_t>(i * 1000 / tokens));
            }
        }
        const Branch branch(shared, *prefill, {parseMethod("snapkv"), Budget::keep("1"), {}, kept, {}}, nullptr);
        const double needed = 4.0 * static_cast<double>(tokens) * 2 * dim * sizeof(float);
        EXPECT_GE(static_cast<double>(branch.bytes()), needed);
        EXPECT_LE(static_cast<double>(branch.bytes()), 1.1 * needed) << tokens;
    }
}

TEST(Branch, RefusesSetsThatDoNotFit)
{
    const auto model = tinyModel();
    const LivePrompt live(onCpu(*model), tinyIds(40), PromptLayout(40), {parseMethod("tova@paper")});
    const auto prompt = std::make_shared<const PromptState>(live.branch(0, Budget::keep("1")).prompt());
    const auto cut = [&](const char* spec, std::vector<std::vector<std::int32_t>> sets) {
        std::map<int, KeepSet> kept;
        for (int layer = 0; layer < 2; ++layer)
            kept[layer] = {Granularity::KvHead, sets};
        return Branch(prompt, live.cache(), {parseMethod(spec), Budget::keep("1"), {}, kept, {}}, nullptr);
    };
    EXPECT_EQ(cut("snapkv", {{1, 2}, {3}}).meanTokens(), 1.5);
    EXPECT_THROW(cut("snapkv", {{1, 2}, {40}}), MethodError); // not in the cache
    EXPECT_THROW(cut("snapkv", {{1, 2}}), MethodError); // one set for two KV heads
    EXPECT_THROW(cut("snapkv", {{1}, {1}, {1}}), MethodError);
    EXPECT_THROW(cut("tova@paper", {{1, 2}, {1, 3}}), MethodError); // a layer-level policy
    EXPECT_THROW(
        Branch(prompt, live.cache(), {parseMethod("snapkv"), Budget::keep("1"), {}, {}, {}}, nullptr), MethodError);
}

/// Lets the newest four vote and drops the token with the fewest votes of every pair before them, in layer 0.
class PairPruner final : public LayerPruner {
public:
    std::int64_t votingRows(std::int64_t) const override { return 4; }
    double voteWeight(std::int64_t row, std::int64_t) const override { return 1.0 + static_cast<double>(row); }
    std::vector<std::int32_t> survivors(std::span<const std::int32_t> entering, std::span<const float> votes,
        const Place& place, const Budget&) const override
    {
        EXPECT_EQ(place.layer, 0);
        seen.assign(votes.begin(), votes.end());
        std::vector<std::int32_t> left;
        const std::size_t context = entering.size() - 4;
        for (std::size_t i = 0; i + 1 < context; i += 2)
            left.push_back(entering[i + (votes[i + 1] > votes[i] ? 1 : 0)]);
        left.insert(left.end(), entering.end() - 4, entering.end());
        return left;
    }
    mutable std::vector<float> seen;
};

TEST(Branch, TokensThatLeaveBetweenLayersAreGoneFromTheDeeperOnes)
{
    const auto model = tinyModel();
    const std::vector<std::int32_t> ids = tinyIds(204);
    const auto pruner = std::make_shared<PairPruner>();
    Method method = parseMethod("full");
    method.layerPruner = pruner;
    const LivePrompt live(onCpu(*model), ids, PromptLayout(204), {method, parseMethod("full")});
    EXPECT_EQ(live.scored(0), nullptr);
    Branch branch = live.branch(0, Budget::keep("0.5"));
    EXPECT_EQ(branch.alive(0).sets[0].size(), 204U);
    const std::vector<std::int32_t> left = branch.alive(1).sets[0];
    ASSERT_EQ(left.size(), 104U);

    // The votes, from the recorded attention of layer 0, which is that of the full prefill.
    const TemporaryFolder folder;
    const Recording recording = recordTiny(folder, ids);
    std::vector<double> votes(204);
    EvidenceNeeds needs;
    needs.lastRows = 4;
    const OwnedEvidence evidence = EvidenceBuilder(recording).build(0, 0, needs);
    for (int head = 0; head < 4; ++head)
        for (int row = 0; row < 4; ++row)
            for (std::size_t key = 0; key < 204; ++key)
                votes[key] += (1.0 + row) / 16.0 * static_cast<double>(evidence.view.lastRow(head, row)[key]);
    EXPECT_LT(largestDifference(pruner->seen, votes), 1e-7);

    // Layer 1 of the survivors alone: keys are those of the full run where nothing earlier had left.
    const Branch full = live.branch(1, Budget::keep("1"));
    EXPECT_LT(largestDifference(
                  keyOf(branch.layer(1), 0, 0), keyOf(full.layer(1), 0, static_cast<std::size_t>(left.front()))),
        1e-5);
    EXPECT_GT(largestDifference(branch.promptLogits(), live.logits()), 1e-3);
    std::vector<Branch*> alone{&branch};
    EXPECT_EQ(BatchDecoder(onCpu(*model)).generateGreedy(alone, {.maxTokens = 5}).front().ids.size(), 5U);
    EXPECT_EQ(branch.layer(0).tokens(0), 208);
    EXPECT_EQ(branch.layer(1).tokens(0), 108);
}

/// Weights of a deeper model whose attention is soft enough that votes differ.
std::unique_ptr<Transformer> deepModel(const TemporaryFolder& folder)
{
    TinyLlama llama({.depth = 6});
    for (int layer = 0; layer < 6; ++layer)
        for (float& weight : llama.tensor("model.layers." + std::to_string(layer) + ".self_attn.q_proj.weight"))
            weight *= 0.3F;
    llama.write(folder);
    return Transformer::load(*Checkpoint::open(folder.path()));
}

TEST(Branch, PyramidInferLetsIntoEachLayerAsManyTokensAsAReplayAndTheSameAsLongAsLayersSawTheSame)
{
    const TemporaryFolder folder;
    const TemporaryFolder recordings;
    const auto model = deepModel(folder);
    const std::vector<std::int32_t> ids = tinyIds(90);
    const Recording recording = recordTiny(recordings, ids, 0, folder.path());
    const std::vector<Method> methods{parseMethod("pyramidinfer:recent_ratio=0.1,min_context=8"),
        parseMethod("pyramidinfer:recent_ratio=0.1,min_context=8,decay=0.6,distance_weight=3")};
    const std::vector<ScoredSample> replayed = Replay(recording).score(0, PromptLayout(90), methods);
    const LivePrompt live(onCpu(*model), ids, PromptLayout(90), methods);
    for (std::size_t method = 0; method < 2; ++method)
        for (const char* keep : {"0.75", "0.9"}) {
            const ReplayResult expected = replayed[method].choose(Budget::keep(keep));
            std::vector<Branch> branch{live.branch(method, Budget::keep(keep))};
            double sum = 0;
            for (int layer = 0; layer < 6; ++layer) {
                EXPECT_EQ(branch[0].layer(layer).tokens(0), expected.realisedTokens(layer, 0)) << layer;
                sum += static_cast<double>(branch[0].layer(layer).tokens(1));
            }
            // Layer 0 prunes nothing, so layer 1 sees what the full prefill sees, and decides what enters layer 2.
            for (int layer = 0; layer < 3; ++layer)
                EXPECT_EQ(branch[0].alive(layer).sets, expected.kept.at(layer).sets) << layer;
            EXPECT_LT(branch[0].layer(2).tokens(0), 90);
            if (method == 0) { // its decay follows the budget
                EXPECT_LE(branch[0].meanTokens(), 90 * branch[0].budget().fractionKept(90));
            }
            EXPECT_DOUBLE_EQ(branch[0].meanTokens(), sum / 6);
            // A block of generated tokens is cut down once enough queries have followed it.
            const auto generated = BatchDecoder(onCpu(*model)).generateGreedy(pointersTo(branch), {.maxTokens = 6});
            EXPECT_EQ(generated[0].ids.size(), 6U);
        }
}

TEST(Branch, PyramidInferThatPrunesNothingGivesThePlainRun)
{
    const TemporaryFolder folder;
    const auto model = deepModel(folder);
    const std::vector<std::int32_t> ids = tinyIds(80);
    const LivePrompt live(onCpu(*model), ids, PromptLayout(80), {parseMethod("pyramidinfer:phases=prefill")});
    std::vector<Branch> branch{live.branch(0, Budget::keep("1"))};
    expectSameLogits(branch[0].promptLogits(), live.logits());
    EXPECT_DOUBLE_EQ(branch[0].meanTokens(), 80.0);
    EXPECT_EQ(BatchDecoder(onCpu(*model)).generateGreedy(pointersTo(branch), {.maxTokens = 14}).front().ids,
        plainTokens(*model, ids, 14));
}

} // namespace
} // namespace kvloupe
