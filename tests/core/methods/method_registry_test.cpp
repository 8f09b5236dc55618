// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/method_registry.h"

#include "core/methods/method_spec.h"
#include "core/methods/nearest_names.h"
#include "tests/core/methods/evidence_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace kvloupe {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;

std::string errorOf(std::string_view spec)
{
    try {
        parseMethod(spec);
    } catch (const MethodError& error) {
        EXPECT_THAT(error.what(), Not(HasSubstr("\n"))) << "one line";
        return error.what();
    }
    return "accepted";
}

TEST(MethodRegistry, ListsTheMethodsInTheOrderOfTheirDocumentation)
{
    const std::vector<std::string> order{"full", "streaming_llm", "h2o", "observed_attention", "tova", "snapkv",
        "pyramidkv", "pyramidinfer", "chunkkv", "shotkv", "random", "random_shot", "expected_attention", "knorm",
        "keydiff", "lagkv", "adakv", "criticalkv", "rkv", "quest", "finch", "simlayerkv", "file"};
    auto next = order.begin();
    for (const MethodInfo& info : methodRegistry()) {
        next = std::find(next, order.end(), info.name);
        ASSERT_NE(next, order.end()) << info.name << " is listed twice, too late, or not documented";
        ++next;
    }
    EXPECT_GE(methodRegistry().size(), 5U);
}

TEST(MethodRegistry, BuildsEveryMethodWithItsDefaultsAndWithEveryPreset)
{
    for (const MethodInfo& info : methodRegistry()) {
        EXPECT_FALSE(info.title.empty() || info.summary.empty() || info.source.empty()) << info.name;
        if (info.takesPath)
            continue; // there is no path to build it with
        std::vector<std::string> specs{info.name};
        for (const PresetInfo& preset : info.presets) {
            EXPECT_FALSE(preset.description.empty()) << info.name << "@" << preset.name;
            specs.push_back(info.name + "@" + preset.name);
        }
        for (const std::string& spec : specs) {
            const Method method = parseMethod(spec);
            EXPECT_EQ(method.name, info.name);
            EXPECT_EQ(method.spec, spec);
            ASSERT_NE(method.chooser != nullptr, method.layerPruner != nullptr) << spec;
            const auto inherited = std::ranges::count_if(
                method.parameters, [](const auto& parameter) { return parameter.first.starts_with("scorer."); });
            EXPECT_EQ(method.parameters.size(), info.parameters.size() + static_cast<std::size_t>(inherited)) << spec;
            EXPECT_EQ(inherited > 0, static_cast<bool>(info.wrap)) << spec;
            for (const ParameterInfo& parameter : info.parameters) {
                EXPECT_TRUE(method.parameters.contains(parameter.name)) << spec << " " << parameter.name;
                EXPECT_FALSE(parameter.description.empty()) << parameter.name;
            }
        }
    }
}

TEST(MethodRegistry, LetsKeysOverrideThePresetWhateverTheirOrder)
{
    const Method method = parseMethod("snapkv@kvpress:window=16,gqa_reduce=max");
    EXPECT_THAT(method.parameters,
        ElementsAre(Pair("budget_rounding", "trunc_double"), Pair("gqa_reduce", "max"), Pair("gqa_stage", "after_pool"),
            Pair("granularity", "kv_head"), Pair("kernel", "5"), Pair("pool", "avg"), Pair("window", "16"),
            Pair("window_reduce", "mean")));
    EXPECT_EQ(method.needs(PromptLayout(100)).lastRows, 16);
}

TEST(MethodRegistry, HoldsThePresetsOfTheLibrariesPeopleCompareWith)
{
    const Method kvcf = parseMethod("snapkv@kvcf");
    EXPECT_EQ(kvcf.parameters.at("window"), "8");
    EXPECT_EQ(kvcf.parameters.at("kernel"), "7");
    EXPECT_EQ(kvcf.parameters.at("pool"), "max");
    const Method paper = parseMethod("snapkv@paper");
    EXPECT_EQ(paper.granularity, Granularity::QueryHead);
    EXPECT_EQ(paper.parameters.at("window"), "32");
    const Method canonical = parseMethod("snapkv");
    EXPECT_EQ(canonical.parameters.at("window"), "32");
    EXPECT_EQ(canonical.parameters.at("gqa_stage"), "before_pool");
    EXPECT_EQ(canonical.parameters.at("pool"), "max");

    EXPECT_EQ(parseMethod("streaming_llm").decodePolicy, nullptr);
    const Method sliding = parseMethod("streaming_llm@paper");
    EXPECT_NE(sliding.decodePolicy, nullptr);
    EXPECT_EQ(sliding.positions, PositionMode::Rerotate);
    EXPECT_EQ(sliding.fidelity, Fidelity::Exact) << "what slides depends on positions alone";
}

TEST(MethodRegistry, ReportsWhatAutomaticValuesCameTo)
{
    EXPECT_EQ(parseMethod("h2o").parameters.at("recent"), "half");
    EXPECT_EQ(parseMethod("h2o:variant=kvcf").parameters.at("recent"), "8");
    EXPECT_EQ(parseMethod("h2o@kvcf:recent=32").parameters.at("recent"), "32");
    EXPECT_EQ(parseMethod("snapkv:window=0032").parameters.at("window"), "32") << "one spelling";
    EXPECT_EQ(parseMethod("random:shared_layers=1").parameters.at("shared_layers"), "true");
}

TEST(MethodRegistry, SuggestsTheNearestNames)
{
    EXPECT_THAT(errorOf("snapvk"), AllOf(HasSubstr("unknown method 'snapvk'"), HasSubstr("did you mean snapkv?")));
    EXPECT_THAT(errorOf("SnapKV"), HasSubstr("'SnapKV'"));
    EXPECT_THAT(errorOf("streaming"), HasSubstr("did you mean streaming_llm?"));
    EXPECT_THAT(
        errorOf("minference"), AllOf(HasSubstr("expected one of full, streaming_llm"), Not(HasSubstr("did you mean"))));
    EXPECT_THAT(
        errorOf("snapkv@kvpres"), AllOf(HasSubstr("unknown preset 'kvpres'"), HasSubstr("did you mean kvpress?")));
    EXPECT_THAT(errorOf("full@kvpress"), HasSubstr("full, which has none"));
    EXPECT_THAT(
        errorOf("snapkv:windw=3"), AllOf(HasSubstr("unknown parameter 'windw'"), HasSubstr("did you mean window?")));
    EXPECT_THAT(errorOf("full:window=3"), HasSubstr("it has none"));
    EXPECT_THAT(errorOf("snapkv:pool=mx"),
        AllOf(HasSubstr("pool is 'mx'"), HasSubstr("one of max, avg"), HasSubstr("did you mean max?")));
}

TEST(MethodRegistry, SaysWhichPartOfASpecIsWrong)
{
    EXPECT_THAT(errorOf(""), HasSubstr("there is no name"));
    EXPECT_THAT(errorOf("@kvpress"), HasSubstr("there is no name"));
    EXPECT_THAT(errorOf("snap kv"), HasSubstr("other characters"));
    EXPECT_THAT(errorOf("snapkv@"), HasSubstr("preset after '@' is ''"));
    EXPECT_THAT(errorOf("snapkv@a@b"), HasSubstr("preset after '@' is 'a@b'"));
    EXPECT_THAT(errorOf("snapkv:"), HasSubstr("'' is no key=value"));
    EXPECT_THAT(errorOf("snapkv:window"), HasSubstr("'window' is no key=value"));
    EXPECT_THAT(errorOf("snapkv:window=3,"), HasSubstr("'' is no key=value"));
    EXPECT_THAT(errorOf("snapkv:window="), HasSubstr("key 'window' has no value"));
    EXPECT_THAT(errorOf("snapkv:=3"), HasSubstr("'' is no key"));
    EXPECT_THAT(errorOf("snapkv:window=3,window=4"), HasSubstr("key 'window' is given twice"));
    EXPECT_THAT(errorOf("snapkv:scorer.window=4"), HasSubstr("snapkv wraps none"));
    EXPECT_THAT(errorOf("snapkv:.window=4"), HasSubstr("'.window' is no key"));
    EXPECT_THAT(errorOf("snapkv:window=3;drop\ntable=1"), HasSubstr("expected a whole number from 1 to 65536"));
    EXPECT_THAT(errorOf("snapkv:window=0"), HasSubstr("window is '0', expected a whole number from 1 to 65536"));
    EXPECT_THAT(errorOf("snapkv:window=99999999999999999999"), HasSubstr("expected a whole number"));
    EXPECT_THAT(errorOf("snapkv:window=3.5"), HasSubstr("expected a whole number"));
    EXPECT_THAT(errorOf("snapkv:kernel=4"), AllOf(HasSubstr("kernel is 4"), HasSubstr("odd")));
    EXPECT_THAT(errorOf("h2o:recent=few"), HasSubstr("expected auto, half or a whole number"));
    EXPECT_THAT(errorOf("random:shared_layers=maybe"), HasSubstr("expected true or false"));
    EXPECT_THAT(errorOf(std::string(5000, 'a')), HasSubstr("..."));
}

TEST(MethodRegistry, RefusesEvidenceThatIsNotWhatAScorerAskedFor)
{
    EvidenceTable table(4, 3, 8);
    const PromptLayout layout(8);
    EXPECT_THROW(parseMethod("random").score(table.view, layout), MethodError) << "4 query heads over 3 KV heads";
    table.view.kvHeads = 2;
    EXPECT_NO_THROW(parseMethod("random").score(table.view, layout));
    EXPECT_THROW(parseMethod("h2o").score(table.view, layout), MethodError);
    EXPECT_THROW(parseMethod("snapkv").score(table.view, layout), MethodError);
    table.columnSums.assign(31, 0.0F);
    table.bind();
    EXPECT_THROW(parseMethod("h2o").score(table.view, layout), MethodError) << "31 of 32 values";
}

TEST(EvidenceNeeds, MergesAndCovers)
{
    const PromptLayout layout(10);
    EvidenceNeeds all = parseMethod("snapkv:window=8").needs(layout);
    EXPECT_FALSE(all.columnSums);
    all.merge(parseMethod("h2o").needs(layout));
    all.merge(parseMethod("snapkv:window=16").needs(layout));
    EXPECT_EQ(all.lastRows, 16);
    EXPECT_TRUE(all.columnSums);
    EXPECT_TRUE(all.covers(parseMethod("snapkv:window=8").needs(layout)));
    EXPECT_FALSE(all.covers(parseMethod("snapkv:window=17").needs(layout)));
    EXPECT_EQ(parseMethod("full").needs(layout), EvidenceNeeds{});
}

TEST(NearestNames, CountsSwapsAsOneMistake)
{
    EXPECT_EQ(editDistance("snapkv", "snapkv"), 0U);
    EXPECT_EQ(editDistance("snapvk", "snapkv"), 1U);
    EXPECT_EQ(editDistance("", "abc"), 3U);
    EXPECT_EQ(editDistance("kitten", "sitting"), 3U);
    const std::vector<std::string> names{"window", "kernel", "pool"};
    EXPECT_THAT(nearestNames("wndow", names), ElementsAre("window"));
    EXPECT_THAT(nearestNames("zzzzz", names), IsEmpty());
}

TEST(MethodSpec, IsTakenApartAndPutTogether)
{
    const SpecParts parts = splitSpec("adakv@kvpress:scorer=snapkv@paper,scorer.window=16");
    EXPECT_EQ(parts.name, "adakv");
    EXPECT_EQ(parts.preset, "kvpress");
    EXPECT_EQ(parts.values, (ParameterValues{{"scorer", "snapkv@paper"}, {"scorer.window", "16"}}));
    for (const char* spec : {"snapkv", "snapkv@kvpress", "snapkv:kernel=5,window=16", "h2o@paper:recent=4"})
        EXPECT_EQ(joinSpec(splitSpec(spec)), spec);
}

} // namespace
} // namespace kvloupe
