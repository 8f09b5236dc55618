// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/memory_plan.h"

#include "capture/model/model_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvloupe {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

/// The shape of Llama 3.1 8B.
ModelConfig eightBillion()
{
    ModelConfig config;
    config.numLayers = 32;
    config.numHeads = 32;
    config.numKvHeads = 8;
    config.headDim = 128;
    config.hiddenSize = 4096;
    config.intermediateSize = 14336;
    config.vocabSize = 128256;
    return config;
}

TEST(MemoryPlan, LoadsWeightsThatFit)
{
    const MemoryNeeds needs{1000 * mebibyte, 300 * mebibyte};
    EXPECT_EQ(placeWeights(needs, 1000 * mebibyte), WeightPlacement::Resident);
    EXPECT_EQ(placeWeights(needs, 1000 * mebibyte - 1), WeightPlacement::Streamed);
    EXPECT_EQ(placeWeights(needs, 300 * mebibyte), WeightPlacement::Streamed);
}

TEST(MemoryPlan, RefusesWithTheNumbersWhatDoesNotFitEvenStreamed)
{
    EXPECT_THAT(
        [] {
            placeWeights({1000 * mebibyte, 300 * mebibyte}, 299 * mebibyte);
        },
        ThrowsMessage<ModelError>(AllOf(HasSubstr("1000 MiB"), HasSubstr("300 MiB"), HasSubstr("299 MiB"))));
}

TEST(MemoryPlan, WithoutALimitGoesByWhatIsAvailable)
{
    const std::uint64_t available = availableMemory();
    ASSERT_GT(available, 100 * mebibyte);
    EXPECT_EQ(placeWeights({1, 1}, 0), WeightPlacement::Resident);
    EXPECT_EQ(placeWeights({4 * available, 1}, 0), WeightPlacement::Streamed);
    EXPECT_EQ(placeWeights({4 * available, 2 * available}, 0), WeightPlacement::Streamed)
        << "an estimate alone refuses nothing";
}

TEST(MemoryPlan, KnowsWhatEightBillionParametersTake)
{
    const MemoryNeeds needs = memoryNeeds(eightBillion(), 1024, 2);
    EXPECT_GT(needs.resident, 30 * 1024 * mebibyte); // 8.03 billion numbers of 4 bytes
    EXPECT_LT(needs.resident, 32 * 1024 * mebibyte);
    EXPECT_LT(needs.streamed, 2 * 1024 * mebibyte);
    EXPECT_GT(memoryNeeds(eightBillion(), 8192, 2).streamed, needs.streamed + 2 * 1024 * mebibyte)
        << "keys and values of 7,168 tokens more";
}

} // namespace
} // namespace kvloupe
