// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/training/lora_model.h"

#include "capture/checkpoint/checkpoint.h"
#include "capture/model/model_error.h"
#include "capture/model/transformer.h"
#include "tests/support/architecture_reference.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <random>

namespace kvloupe {
namespace {

std::filesystem::path tinyLlama()
{
    return std::filesystem::path(KVLOUPE_TEST_DATA) / "tiny_llama";
}

std::unique_ptr<Transformer> load(std::shared_ptr<const Adapter> adapter = nullptr)
{
    LoadOptions options;
    options.threads = 1;
    options.adapter = std::move(adapter);
    return Transformer::load(*Checkpoint::open(tinyLlama()), options);
}

std::vector<std::int32_t> text(int length, int seed)
{
    std::vector<std::int32_t> ids;
    for (int i = 0; i < length; ++i)
        ids.push_back((7 * i * i + 3 * i + 13 * seed) % 60 + 4);
    return ids;
}

/// Pairs that change something: B is no longer 0.
LoraModel randomLora(const Transformer& model, std::int64_t rank = 3)
{
    LoraModel lora(model, rank, 2.0 * static_cast<double>(rank), 5);
    std::mt19937 random(17);
    std::normal_distribution<float> normal(0.0F, 0.06F);
    for (float& value : lora.parameters())
        value += normal(random);
    return lora;
}

std::vector<float> nllOf(const Transformer& model, const std::vector<std::int32_t>& ids)
{
    KvCache cache = model.makeCache(64);
    return model.prefill(ids, cache).nll;
}

TEST(LoraModel, FreshPairsChangeNothing)
{
    const auto model = load();
    const LoraModel lora(*model, 4, 8.0, 1);
    const auto ids = text(19, 1);
    const std::vector<float> logits = lora.logits(ids);
    KvCache cache = model->makeCache(64);
    const PrefillResult expected = model->prefill(ids, cache);
    const std::size_t vocabulary = expected.lastLogits.size();
    ASSERT_EQ(logits.size(), ids.size() * vocabulary);
    for (std::size_t i = 0; i < vocabulary; ++i)
        EXPECT_NEAR(logits[logits.size() - vocabulary + i], expected.lastLogits[i], 2e-5F);
}

TEST(LoraModel, TheDifferentiablePassGivesTheLogitsOfTheMergedModel)
{
    const auto model = load();
    const LoraModel lora = randomLora(*model);
    const TemporaryFolder folder;
    writeAdapter(folder.path() / "a", lora.weights(), {{"name", "a"}}, DataType::F32);
    const auto merged = load(Adapter::read(folder.path() / "a"));

    const auto ids = text(23, 2);
    const std::vector<float> logits = lora.logits(ids);
    const std::size_t vocabulary = logits.size() / ids.size();
    double change = 0.0;
    for (std::size_t n = 1; n <= ids.size(); ++n) {
        const std::span<const std::int32_t> prefix(ids.data(), n);
        KvCache mergedCache = merged->makeCache(64);
        KvCache plainCache = model->makeCache(64);
        const auto expected = merged->prefill(prefix, mergedCache).lastLogits;
        const auto plain = model->prefill(prefix, plainCache).lastLogits;
        for (std::size_t i = 0; i < vocabulary; ++i) {
            EXPECT_NEAR(logits[(n - 1) * vocabulary + i], expected[i], 5e-4F) << n << " " << i;
            change = std::max(change, std::abs(static_cast<double>(expected[i] - plain[i])));
        }
    }
    EXPECT_GT(change, 1.0);
}

TEST(LoraModel, TheLossIsTheWeightedNegativeLogLikelihoodOfTheAnswersAlone)
{
    const auto model = load();
    const LoraModel lora(*model, 2, 4.0, 1);
    const auto first = text(17, 3);
    const auto second = text(9, 4);
    const std::vector<TrainingSequence> sequences{{first, 12, 0.5}, {second, 2, 2.0}};
    double loss = 0.0;
    double nll = 0.0;
    const auto add = [&](const std::vector<std::int32_t>& ids, std::size_t begin, double weight) {
        const std::vector<float> all = nllOf(*model, ids);
        for (std::size_t i = begin; i < ids.size(); ++i) {
            loss += weight * static_cast<double>(all[i]);
            nll += static_cast<double>(all[i]);
        }
    };
    add(first, 12, 0.5);
    add(second, 2, 2.0);
    const LoraModel::Gradient gradient = lora.gradient(sequences);
    EXPECT_NEAR(gradient.loss, loss, 2e-6 * loss); // sums of float32 in another order
    EXPECT_NEAR(gradient.nll, nll, 2e-6 * nll);
}

TEST(LoraModel, GradientsAreThoseOfFiniteDifferences)
{
    const auto model = load();
    LoraModel lora = randomLora(*model, 2);
    const auto first = text(13, 5);
    const auto second = text(8, 6);
    const std::vector<TrainingSequence> sequences{{first, 6, 1.0}, {second, 3, 0.7}};
    const std::vector<float> gradient = lora.gradient(sequences).values;
    ASSERT_EQ(gradient.size(), lora.parameters().size());

    const float step = 4e-3F;
    const auto lossAt = [&](std::size_t place, float change) {
        const float before = lora.parameters()[place];
        lora.parameters()[place] = before + change;
        const double loss = lora.gradient(sequences).loss;
        lora.parameters()[place] = before;
        return loss;
    };
    double largest = 0.0;
    for (const float value : gradient)
        largest = std::max(largest, std::abs(static_cast<double>(value)));
    for (std::size_t place = 11; place < gradient.size(); place += gradient.size() / 41) {
        const double slope = (lossAt(place, step) - lossAt(place, -step)) / (2.0 * static_cast<double>(step));
        EXPECT_NEAR(gradient[place], slope, 2e-3 * largest) << place;
    }
    EXPECT_GT(largest, 0.01);
}

TEST(LoraModel, TextsThatShareAPassDoNotSeeEachOther)
{
    const auto model = load();
    const LoraModel lora = randomLora(*model);
    const auto first = text(11, 7);
    const auto second = text(16, 8);
    const TrainingSequence one{first, 4, 1.0};
    const TrainingSequence two{second, 9, 1.0};
    const LoraModel::Gradient a = lora.gradient(std::span(&one, 1));
    const LoraModel::Gradient b = lora.gradient(std::span(&two, 1));
    const std::vector<TrainingSequence> both{one, two};
    const LoraModel::Gradient together = lora.gradient(both);
    EXPECT_NEAR(together.loss, a.loss + b.loss, 1e-3);
    const float largest = std::ranges::max(together.values);
    for (std::size_t i = 0; i < together.values.size(); i += 7)
        EXPECT_NEAR(together.values[i], a.values[i] + b.values[i], 1e-3F * largest) << i;
}

class LoraOfArchitecture : public testing::TestWithParam<std::string> { };

TEST_P(LoraOfArchitecture, HasTheLogitsOfTheForwardPass)
{
    const TemporaryFolder folder;
    const ArchitectureCase reference(GetParam());
    const auto model = Transformer::load(*Checkpoint::open(reference.writeFolder(folder)), {1, {}});
    const std::vector<float> logits = LoraModel(*model, 2, 4.0, 1).logits(reference.ids);
    KvCache cache = model->makeCache(64);
    const PrefillResult expected = model->prefill(reference.ids, cache);
    const std::size_t vocabulary = expected.lastLogits.size();
    const float largest = std::ranges::max(expected.lastLogits, {}, [](float x) { return std::abs(x); });
    for (std::size_t i = 0; i < vocabulary; ++i)
        EXPECT_NEAR(logits[logits.size() - vocabulary + i], expected.lastLogits[i], 1e-4F * std::abs(largest)) << i;
}

INSTANTIATE_TEST_SUITE_P(Models, LoraOfArchitecture,
    testing::Values("gemma3", "mistral_window", "qwen2", "qwen3", "smollm3", "llama_yarn"),
    [](const auto& named) { return named.param; });

TEST(LoraModel, RefusesModelsWithFusedProjections)
{
    const TemporaryFolder folder;
    const auto model = Transformer::load(*Checkpoint::open(ArchitectureCase("phi3").writeFolder(folder)), {1, {}});
    EXPECT_THROW(LoraModel(*model, 2, 4.0, 1), ModelError);
}

} // namespace
} // namespace kvloupe
