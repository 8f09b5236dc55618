// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/kept_sets.h"

#include "core/replay/replay.h"
#include "core/replay/replay_json.h"
#include "tests/core/methods/random_case.h"
#include "tests/support/temporary_folder.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace kvloupe {
namespace {

using random_case::cases;
using random_case::Dice;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// One layer of 10 tokens, two KV heads, four query heads, `layers` times.
struct SmallModel {
    std::vector<EvidenceTable> tables;
    std::vector<LayerEvidence> views;

    explicit SmallModel(int layers = 2, std::int64_t first = 0)
    {
        for (int layer = 0; layer < layers; ++layer) {
            tables.emplace_back(4, 2, 10 - first, layer, 2);
            views.push_back(tables.back().view);
            views.back().firstPosition = first;
        }
    }
};

class KeptFile {
public:
    std::string spec(const std::string& text) const
    {
        const auto path = m_folder.path() / "kept.jsonl";
        std::ofstream(path, std::ios::binary) << text;
        return "file:" + path.string();
    }
    ReplayResult choose(const std::string& text, const Budget& budget = Budget::keep("0.3"), int sample = 0,
        const SmallModel& model = SmallModel()) const
    {
        return ScoredSample(parseMethod(spec(text)), PromptLayout(10), model.views, sample).choose(budget);
    }
    /// The message that reading or choosing ends with.
    std::string problem(const std::string& text, const Budget& budget = Budget::keep("0.3"), int sample = 0) const
    {
        try {
            choose(text, budget, sample);
        } catch (const MethodError& error) {
            return error.what();
        }
        return "none";
    }

private:
    TemporaryFolder m_folder;
};

const std::string good = R"({"sample": 0, "prompt_tokens": 10, "budget": {"keep": "0.3"}, "granularity": "kv_head",)"
                         R"( "kept": {"0": {"0": [0, 4, 9], "1": [1, 2, 9]}, "1": {"1": [], "0": [7]}}})";

TEST(KeptSets, AreShownAsTheyWereWritten)
{
    const KeptFile file;
    const ReplayResult result = file.choose(good);
    EXPECT_THAT(result.kept.at(0).sets, ElementsAre(ElementsAre(0, 4, 9), ElementsAre(1, 2, 9)));
    EXPECT_THAT(result.kept.at(1).sets, ElementsAre(ElementsAre(7), IsEmpty())) << "heads in any order";
    EXPECT_THAT(result.notes, IsEmpty());
    EXPECT_EQ(file.choose(good + "\n\n").kept, result.kept) << "empty lines";
}

TEST(KeptSets, TellWhatWasGiven)
{
    const KeptFile file;
    const SmallModel model;
    const ScoredSample scored(parseMethod(file.spec(good)), PromptLayout(10), model.views);
    const auto ranking = scored.rank(Budget::keep("0.3"));
    EXPECT_EQ(ranking.at(0).sets.at(1).guards.at(2), Guard::Given);
    EXPECT_EQ(ranking.at(0).sets.at(1).guards.at(3), Guard::None);
    EXPECT_THAT(ranking.at(0).sets.at(1).scores, IsEmpty());
}

TEST(KeptSets, NeedASampleAndSetsAndNothingElse)
{
    const KeptFile file;
    const std::string bare = R"({"kept": {"0": {"0": [3], "1": [4]}, "1": {"0": [5], "1": [6]}}, "sample": 0})";
    const ReplayResult result = file.choose(bare);
    EXPECT_THAT(result.kept.at(1).sets, ElementsAre(ElementsAre(5), ElementsAre(6)));
    const std::string extra
        = R"({"scores": {"kept": [1, {"a": null}], "sample": "x"}, "tags": [[], {}, true, 1e5],)" + bare.substr(1);
    EXPECT_EQ(file.choose(extra).kept, result.kept) << "fields of other programs";
    const std::string window = R"({"sample": 0, "kept": {"0": {"0": [3, 9], "1": [4]}, "1": {"0": [5], "1": [6]}}})";
    EXPECT_THAT(file.choose(window, Budget::keep("0.3"), 0, SmallModel(2, 3)).kept.at(0).sets.at(0), ElementsAre(3, 9))
        << "positions are those of the prompt, in a layer that lost its first tokens too";
    EXPECT_THAT(file.choose(window, Budget::keep("0.3"), 0, SmallModel(1)).kept.size(), 1U)
        << "a recording may hold fewer layers";
}

TEST(KeptSets, MayHoldASetPerQueryHeadOrPerLayer)
{
    const KeptFile file;
    const auto line = [](const std::string& granularity, const std::string& sets) {
        return R"({"sample": 0, "granularity": ")" + granularity + R"(", "kept": {"0": )" + sets + R"(, "1": )" + sets
            + "}}";
    };
    const std::string four = R"({"0": [1], "1": [2], "2": [3], "3": [4]})";
    EXPECT_EQ(file.choose(line("q_head", four)).kept.at(1).sets.size(), 4U);
    EXPECT_THAT(file.problem(line("kv_head", four)), HasSubstr("found 4 heads, expected 2 with granularity kv_head"));
    EXPECT_EQ(file.choose(line("layer", R"({"0": [1, 2], "1": [1, 2]})")).kept.at(0).granularity, Granularity::Layer);
    EXPECT_THAT(file.problem(line("layer", R"({"0": [1, 2], "1": [1, 3]})")),
        HasSubstr("kept, layer 0, head 1: found other positions than those of head 0"));
}

TEST(KeptSets, AreFoundBySampleAndBudget)
{
    const KeptFile file;
    const auto line = [](int sample, const std::string& budget, int position) {
        return fmt::format(R"({{"sample": {}, {} "kept": {{"0": {{"0": [{}], "1": []}}, "1": {{"0": [], "1": []}}}}}})",
                   sample, budget, position)
            + "\n";
    };
    const std::string text = line(0, R"("budget": {"keep": "0.3"},)", 1) + line(0, R"("keep": 0.5,)", 2)
        + line(0, R"("budget": {"capacity": 4},)", 3) + line(1, R"("budget": {"compression_ratio": "0.70"},)", 4)
        + line(0, R"("budget": {"compression_ratio": 0.7},)", 5);
    const auto first = [&](const Budget& budget, int sample) {
        return file.choose(text, budget, sample).kept.at(0).sets.at(0).front();
    };
    EXPECT_EQ(first(Budget::keep("0.30"), 0), 1);
    EXPECT_EQ(first(Budget::keep(0.5), 0), 2);
    EXPECT_EQ(first(Budget::capacity(4), 0), 3);
    EXPECT_EQ(first(Budget::compressionRatio("0.7"), 0), 5);
    EXPECT_EQ(first(Budget::keep("0.9"), 1), 4) << "the only line of the sample";
    EXPECT_THAT(file.choose(text, Budget::keep("0.9"), 1).notes, ElementsAre(HasSubstr("compression_ratio 0.70")));
    EXPECT_THAT(file.problem(text, Budget::keep("0.9"), 0),
        AllOf(HasSubstr("sample 0 at keep 0.9: found 0 lines"), HasSubstr("line 3, capacity 4")));
    EXPECT_THAT(file.problem(text, Budget::keep("0.9"), 7), HasSubstr("found no line of sample 7"));
    EXPECT_THAT(file.problem(good + "\n" + good), HasSubstr("found 2 lines (line 1, keep 0.3; line 2, keep 0.3)"));
}

TEST(KeptSets, NameLineFieldFoundAndExpected)
{
    const KeptFile file;
    const auto with
        = [](const std::string& sets) { return R"({"sample": 0, "prompt_tokens": 10, "kept": )" + sets + "}"; };
    const std::vector<std::pair<std::string, std::vector<std::string>>> problems{
        {"", {"found no line"}},
        {"{", {"line 1: not JSON"}},
        {"[1]", {"line 1: field (the line): found a list"}},
        {"null", {"found null"}},
        {R"({"sample": 0})", {"line 1: field kept: found nothing"}},
        {R"({"sample": 0, "kept": {}})", {"field kept: found no layer"}},
        {R"({"kept": {"0": {"0": []}}})", {"field sample: found nothing"}},
        {R"({"sample": -1})", {"field sample: found -1"}},
        {R"({"sample": 1.5})", {"field sample: found 1.5, expected a whole number"}},
        {R"({"sample": 99999999999999999999})", {"field sample: found 99999999999999999999"}},
        {R"({"sample": 0, "sample": 0})", {"field sample: found it twice"}},
        {R"({"sample": null})", {"field sample: found null"}},
        {R"({"at": "end"})", {"field at: found \"end\", expected \"prefill\""}},
        {R"({"granularity": "head"})", {"field granularity: found \"head\", expected layer, kv_head or q_head"}},
        {R"({"fidelity": "good"})", {"field fidelity: found \"good\""}},
        {R"({"budget": {"share": "0.3"}})", {"field budget: found \"share\""}},
        {R"({"budget": {"keep": "2"}})", {"line 1: keep: found '2'"}},
        {R"({"budget": "0.3"})", {"field budget: found \"0.3\", expected an object"}},
        {R"({"keep": "0.3"})", {"field keep: found \"0.3\", expected a share"}},
        {with("[]"), {"field kept: found a list, expected an object"}},
        {with(R"({"0": [1]})"), {"field kept, layer 0: found a list, expected {head: [positions]}"}},
        {with(R"({"0": null})"), {"field kept, layer 0: found null"}},
        {with(R"({"0": {}})"), {"field kept, layer 0: found no head"}},
        {with(R"({"x": {"0": []}})"), {"field kept, layer x: found \"x\", expected the number of a layer"}},
        {with(R"({"01": {"0": []}})"), {"found \"01\""}},
        {with(R"({"0": {"0": []}, "0": {"0": []}})"), {"field kept, layer 0: found it twice"}},
        {with(R"({"0": {"0": [], "0": []}})"), {"field kept, layer 0, head 0: found it twice"}},
        {with(R"({"0": {"1": []}})"), {"field kept, layer 0: found no head 0"}},
        {with(R"({"0": {"0": 1}})"), {"field kept, layer 0, head 0: found 1, expected a list of positions"}},
        {with(R"({"0": {"0": [[1]]}})"), {"layer 0, head 0: found a list"}},
        {with(R"({"0": {"0": ["1"]}})"), {"layer 0, head 0: found \"1\""}},
        {with(R"({"0": {"0": [null]}})"), {"layer 0, head 0: found null"}},
        {with(R"({"0": {"0": [1.0]}})"), {"layer 0, head 0: found 1.0"}},
        {with(R"({"0": {"0": [3, 3]}})"), {"found position 3 after 3, expected ascending positions"}},
        {with(R"({"0": {"0": [4, 3]}})"), {"found position 3 after 4"}},
        {with(R"({"0": {"0": [-1]}})"), {"found position -1, expected positions from 0 on"}},
        {with(R"({"0": {"0": [4294967296]}})"), {"found position 4294967296"}},
        {with(R"({"0": {"0": [10]}})"), {"found position 10, expected less than the 10 prompt tokens"}},
        {with(R"({"0": {"0": [], "1": []}, "1": {"0": []}})"),
            {"kept, layer 1: found 1 heads, expected 2 as in layer 0"}},
        {with(R"({"0": {"0": [], "1": []}})"), {"field kept: found no layer 1"}},
        {with(R"({"0": {"0": []}, "1": {"0": []}})"), {"found 1 heads, expected 2 with granularity kv_head"}},
        {with(R"({"0": {"0": [], "1": []}, "1": {"0": [], "1": []}, "2": {"0": [], "1": []}})"),
            {"found layer 2, expected layers of a model of 2"}},
        {R"({"sample": 0, "prompt_tokens": 9, "kept": {"0": {"0": [], "1": []}, "1": {"0": [], "1": []}}})",
            {"field prompt_tokens: found 9, expected 10"}},
        {R"({"sample": 0, "kept": {"0": {"0": [10], "1": []}, "1": {"0": [], "1": []}}})",
            {"layer 0, head 0: found position 10, expected positions 0 to 9"}},
        {good + "\n" + R"({"sample": 1, "granularity": "layer", "kept": {"0": {"0": []}}})",
            {"line 2: field granularity: found layer, expected kv_head as in line 1"}},
        {good + "\n{\"sample\": 0", {"line 2: not JSON"}},
    };
    for (const auto& [text, parts] : problems)
        for (const std::string& part : parts)
            EXPECT_THAT(file.problem(text), AllOf(HasSubstr(part), HasSubstr("kept.jsonl"))) << text;
}

TEST(KeptSets, CannotBeReadFromNothing)
{
    EXPECT_THROW(parseMethod("file:/nonexistent/kept.jsonl"), MethodError);
    EXPECT_THROW(parseMethod("file:"), MethodError);
    EXPECT_THROW(parseMethod("file"), MethodError);
    EXPECT_THROW(parseMethod("file:/"), MethodError) << "a folder";
    EXPECT_THROW(parseMethod("adakv:scorer=file"), MethodError);
}

TEST(KeptSets, RefuseALineThatNeverEnds)
{
    try {
        KeptSets::read("/dev/zero");
        FAIL();
    } catch (const MethodError& error) {
        EXPECT_THAT(error.what(), HasSubstr("a line of more than 256 MiB"));
    }
}

TEST(KeptSetsRandomCases, ComeBackFromWhatAReplayPrints)
{
    const KeptFile file;
    Dice dice(31);
    for (int i = 0; i < cases / 20; ++i) {
        std::vector<random_case::Case> layers{random_case::randomCase(dice)};
        layers.front().layer = 0;
        for (int layer = 1; layer < 3; ++layer) {
            layers.push_back(layers.front());
            layers.back().layer = layer;
            for (auto& sums : layers.back().sums)
                for (auto& sum : sums)
                    sum = dice.upTo(500);
        }
        std::vector<EvidenceTable> tables;
        std::vector<LayerEvidence> views;
        for (const auto& layer : layers) {
            tables.push_back(layer.evidence());
            views.push_back(tables.back().view);
        }
        const PromptLayout layout(layers.front().tokens);
        std::string text;
        std::vector<Budget> budgets;
        std::vector<ReplayResult> results;
        const Method method = parseMethod("h2o:granularity=" + dice.oneOf<std::string>({"layer", "kv_head", "q_head"}));
        const ScoredSample scored(method, layout, views, 4);
        for (const char* keep : {"0.1", "0.5", "0.77"}) {
            budgets.push_back(Budget::keep(std::string_view(keep)));
            results.push_back(scored.choose(budgets.back()));
            ReplayContext context;
            context.sample = 4;
            context.promptTokens = layout.promptTokens();
            text += replayJson(context, method, budgets.back(), results.back()) + "\n";
        }
        const Method given = parseMethod(file.spec(text));
        EXPECT_EQ(given.granularity, method.granularity);
        const ScoredSample again(given, layout, views, 4);
        for (std::size_t index = 0; index < budgets.size(); ++index)
            ASSERT_EQ(again.choose(budgets[index]).kept, results[index].kept) << "case " << i;
    }
}

} // namespace
} // namespace kvloupe
