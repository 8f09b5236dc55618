// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/checkpoint.h"
#include "capture/model/model_weights.h"
#include "capture/model/transformer.h"
#include "tests/capture/model/tiny_llama.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace kvloupe {
namespace {

std::vector<std::int32_t> drawnIds(std::size_t size, int vocabulary)
{
    std::mt19937 random(3);
    std::uniform_int_distribution<std::int32_t> id(0, vocabulary - 1);
    std::vector<std::int32_t> ids(size);
    std::ranges::generate(ids, [&] { return id(random); });
    return ids;
}

/// Everything that a prefill of two parts and two decoded tokens say.
std::vector<float> said(const Transformer& model, std::size_t tokens)
{
    const std::vector<std::int32_t> ids = drawnIds(tokens, model.config().vocabSize);
    KvCache cache = model.makeCache(0);
    std::vector<float> all;
    const auto take = [&](const std::vector<float>& values) { all.insert(all.end(), values.begin(), values.end()); };
    const PrefillResult first = model.prefill(std::span(ids).first(tokens / 2), cache);
    take(first.lastLogits);
    take(first.topLogprobs);
    const PrefillResult second = model.prefill(std::span(ids).subspan(tokens / 2), cache);
    take(second.lastLogits);
    take(second.nll);
    for (int step = 0; step < 2; ++step)
        take(model.decode(5 + step, cache).logits);
    const auto values = cache.values(1, 0);
    std::vector<float> heads;
    for (int head = 0; head < cache.kvHeads(); ++head)
        heads.insert(heads.end(), cache.values(1, head).begin(), cache.values(1, head).end());
    take(model.outputValueNorms(1, heads, static_cast<std::int64_t>(values.size()) / cache.headDim()));
    return all;
}

double largestRelativeDifference(const std::vector<float>& a, const std::vector<float>& b)
{
    EXPECT_EQ(a.size(), b.size());
    double difference = 0;
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (std::isnan(a[i]) && std::isnan(b[i]))
            continue;
        difference = std::max(difference, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
        largest = std::max(largest, std::abs(static_cast<double>(a[i])));
    }
    return difference / largest;
}

std::unique_ptr<Transformer> load(const Checkpoint& checkpoint, WeightPlacement placement, int threads,
    std::shared_ptr<const Adapter> adapter = nullptr)
{
    LoadOptions options;
    options.threads = threads;
    options.placement = placement;
    options.adapter = std::move(adapter);
    return Transformer::load(checkpoint, options);
}

TEST(StreamedWeights, GiveWhatResidentOnesGive)
{
    const TemporaryFolder folder;
    TinyLlama({.tied = false, .biases = true}).write(folder);
    const auto checkpoint = Checkpoint::open(folder.path());
    const auto resident = load(*checkpoint, WeightPlacement::Resident, 2);
    const auto streamed = load(*checkpoint, WeightPlacement::Streamed, 2);
    EXPECT_TRUE(streamed->weights().layers[0].qkv.isStreamed());
    EXPECT_EQ(streamed->weights().layers[0].qkv.weight().size(), 0U);
    EXPECT_LT(largestRelativeDifference(said(*resident, 90), said(*streamed, 90)), 1e-6);
}

TEST(StreamedWeights, DoNotDependOnTheNumberOfThreads)
{
    const TemporaryFolder folder;
    TinyLlama({}).write(folder);
    const auto checkpoint = Checkpoint::open(folder.path());
    const std::vector<float> one = said(*load(*checkpoint, WeightPlacement::Streamed, 1), 60);
    const std::vector<float> two = said(*load(*checkpoint, WeightPlacement::Streamed, 2), 60);
    ASSERT_EQ(one.size(), two.size());
    for (std::size_t i = 0; i < one.size(); ++i)
        ASSERT_TRUE(one[i] == two[i] || std::isnan(one[i])) << i;
}

TEST(StreamedWeights, HaveWhatAnAdapterAdds)
{
    const std::filesystem::path data(KVLOUPE_TEST_DATA);
    const auto checkpoint = Checkpoint::open(data / "tiny_llama");
    const auto adapter = Adapter::read(data / "tiny_adapters" / "plain");
    const std::vector<float> resident = said(*load(*checkpoint, WeightPlacement::Resident, 1, adapter), 30);
    EXPECT_LT(
        largestRelativeDifference(resident, said(*load(*checkpoint, WeightPlacement::Streamed, 1, adapter), 30)), 1e-6);
    EXPECT_GT(largestRelativeDifference(resident, said(*load(*checkpoint, WeightPlacement::Streamed, 1), 30)), 1e-3);
}

TEST(StreamedWeights, OfTheRealQuantisedModelGiveItsLogits)
{
    if (testModelPath().empty())
        GTEST_SKIP() << "the model is not there";
    const auto checkpoint = Checkpoint::open(testModelPath());
    const auto resident = load(*checkpoint, WeightPlacement::Resident, 2);
    const auto streamed = load(*checkpoint, WeightPlacement::Streamed, 2);
    EXPECT_LT(largestRelativeDifference(said(*resident, 900), said(*streamed, 900)), 1e-5)
        << "in two pieces of rows each";
}

} // namespace
} // namespace kvloupe
