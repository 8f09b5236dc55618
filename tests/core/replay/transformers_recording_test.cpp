// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/method_registry.h"
#include "core/recording/verify.h"
#include "core/replay/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

namespace kvloupe {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;

/// What scripts/record_transformers.py wrote: tests/data/make_transformers_recordings.py.
Recording recordedByPython(const char* name)
{
    return Recording::open(std::filesystem::path(KVLOUPE_TEST_DATA) / name);
}

std::vector<Method> allMethods()
{
    std::vector<Method> methods;
    for (const MethodInfo& info : methodRegistry())
        if (!info.takesPath)
            methods.push_back(parseMethod(info.name));
    return methods;
}

TEST(TransformersRecording, IsWholeAndAgreesWithItself)
{
    VerifyOptions options;
    options.rowsPerHead = 300;
    for (const char* name : {"transformers_llama.h5", "transformers_gemma3.h5"})
        EXPECT_THAT(verifyRecording(recordedByPython(name), options).problems, IsEmpty()) << name;
}

TEST(TransformersRecording, SaysWhatEachLayerIsLike)
{
    const Recording llama = recordedByPython("transformers_llama.h5");
    EXPECT_EQ(llama.model().architecture, "llama");
    EXPECT_EQ(llama.model().inverseFrequencies.size(), 1U);
    ASSERT_EQ(llama.sampleCount(), 2);
    EXPECT_EQ(llama.sample(0).promptTokens, 150);
    EXPECT_EQ(llama.readText(1).spans.back().kind, SpanKind::Generated);

    const Recording gemma = recordedByPython("transformers_gemma3.h5");
    std::vector<std::int64_t> windows;
    std::vector<int> variants;
    for (const int layer : gemma.layers(0)) {
        windows.push_back(gemma.layer(0, layer).window);
        variants.push_back(gemma.layer(0, layer).ropeVariant);
    }
    EXPECT_THAT(windows, ElementsAre(33, 0, 33));
    EXPECT_THAT(variants, ElementsAre(1, 0, 1));
    ASSERT_EQ(gemma.model().inverseFrequencies.size(), 2U);
    EXPECT_NEAR(gemma.model().inverseFrequencies[1][1], 0.1, 1e-7) << "base 10,000 of layers with a window";
    EXPECT_NEAR(gemma.model().inverseFrequencies[0][1], 0.0316228, 1e-7) << "base 1,000,000 of the others";
    EXPECT_THAT(gemma.layer(0, 0).mapHeads, ElementsAre(1));
    EXPECT_THAT(gemma.layer(0, 2).mapHeads, IsEmpty());
}

TEST(TransformersRecording, EveryMethodRunsOnIt)
{
    const std::vector<Method> methods = allMethods();
    for (const char* name : {"transformers_llama.h5", "transformers_gemma3.h5"}) {
        const Recording recording = recordedByPython(name);
        const SampleInfo& sample = recording.sample(0);
        const PromptLayout layout(sample.promptTokens, sample.totalTokens,
            {{1, 40, SpanKind::Shot, 0, ""}, {40, 90, SpanKind::Shot, 1, ""}, {90, 130, SpanKind::Question, -1, ""}});
        for (const Method& method : methods) {
            if (name == std::string("transformers_gemma3.h5") && method.needs(layout).outputValueNorms)
                continue; // were not recorded
            const auto scored = Replay(recording).score(0, layout, std::span(&method, 1));
            const Budget half = Budget::keep("0.5");
            const ReplayResult result = scored.front().choose(half);
            EXPECT_EQ(std::ssize(result.kept), recording.model().numLayers) << name << " " << method.name;
            EXPECT_EQ(result.requestedTokens, sample.promptTokens / 2);
            EXPECT_NO_THROW(Replay(recording).timeline(0, scored.front(), half)) << name << " " << method.name;
        }
    }
}

} // namespace
} // namespace kvloupe
