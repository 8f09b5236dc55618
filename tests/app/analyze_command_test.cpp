// SPDX-License-Identifier: GPL-3.0-or-later
//
// analyze as a person or a script would use it: columns, values, what it refuses.

#include "tests/app/program_run.h"
#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace kvloupe {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class AnalyzeCommand : public ::testing::Test {
protected:
    static void SetUpTestSuite()
    {
        folder = std::make_unique<TemporaryFolder>();
        SyntheticRecording options;
        options.promptTokens = 150;
        options.generatedTokens = 6;
        options.headDim = 16;
        options.samples = 2;
        options.kind = RecordKind::QueriesKeys;
        makeRecording(file("rec.h5"), options);
        options.seed = 2;
        makeRecording(file("other.h5"), options);
        options.kind = RecordKind::Statistics;
        makeRecording(file("stats.h5"), options);
    }
    static void TearDownTestSuite() { folder.reset(); }

    static std::string file(const char* name) { return (folder->path() / name).string(); }

    static ProgramRun analyze(std::vector<std::string> arguments, const char* recording = "rec.h5")
    {
        arguments.insert(arguments.begin(), {"analyze", file(recording)});
        return runBuilt("kvloupe", arguments);
    }

    static std::vector<Json> jsonLines(const std::string& text)
    {
        std::vector<Json> result;
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);)
            result.push_back(Json::parse(line));
        return result;
    }

    /// Lines of a CSV without quoted fields, by column.
    static std::vector<std::map<std::string, std::string>> csvLines(const std::string& text)
    {
        const auto fields = [](const std::string& line) {
            std::vector<std::string> result(1);
            for (const char c : line)
                c == ',' ? (void)result.emplace_back() : result.back().push_back(c);
            return result;
        };
        std::istringstream lines(text);
        std::string line;
        std::getline(lines, line);
        const auto names = fields(line);
        std::vector<std::map<std::string, std::string>> result;
        while (std::getline(lines, line)) {
            const auto values = fields(line);
            EXPECT_EQ(values.size(), names.size()) << line;
            auto& row = result.emplace_back();
            for (std::size_t column = 0; column < names.size(); ++column)
                row[names[column]] = values[column];
        }
        return result;
    }

    static std::unique_ptr<TemporaryFolder> folder; // three recordings serve all tests
};

std::unique_ptr<TemporaryFolder> AnalyzeCommand::folder;

TEST_F(AnalyzeCommand, PrintsTablesOfMeansOverHeads)
{
    const ProgramRun run = analyze({});
    ASSERT_EQ(run.status, 0) << run.err;
    EXPECT_THAT(run.out, StartsWith("sparsity: "));
    EXPECT_THAT(run.out, HasSubstr("effective_keys_count"));
    EXPECT_THAT(run.out, HasSubstr("\nspan_mass: "));
    EXPECT_THAT(run.out, HasSubstr("\nconcentration: "));
    EXPECT_THAT(run.out, HasSubstr("question"));
    EXPECT_THAT(run.out, Not(HasSubstr("retained_mass")));
    EXPECT_THAT(run.out, Not(HasSubstr("  head")));
    EXPECT_THAT(run.err, IsEmpty());

    const ProgramRun heads = analyze({"--metric", "sparsity", "--head", "1,3", "--layer", "0", "--sample", "1"});
    ASSERT_EQ(heads.status, 0) << heads.err;
    EXPECT_THAT(heads.out, HasSubstr("  head  "));
    EXPECT_EQ(std::ranges::count(heads.out, '\n'), 2 + 2 * 2); // heading, columns; two heads, prompt and generated
}

TEST_F(AnalyzeCommand, WritesOneCsvTableWithUnitsInItsColumns)
{
    const ProgramRun run = analyze({"--metric", "sparsity,cumulative", "--csv"});
    ASSERT_EQ(run.status, 0) << run.err;
    EXPECT_THAT(run.out,
        StartsWith("metric,recording,sample,id,layer,head,queries,excluded_tokens_count,top_tokens_fraction,"
                   "entropy_nats,effective_keys_count,gini_index,top_1_mass_fraction,top_8_mass_fraction,"
                   "top_64_mass_fraction,sink_mass_fraction,row_max_fraction,mass_fraction\n"));
    const auto rows = csvLines(run.out);
    EXPECT_EQ(rows.size(), 2U * 2U * 4U * (2U + 2U * 13U)); // samples, layers, heads; queries; curves
    for (const auto& row : rows) {
        if (row.at("metric") == "cumulative") {
            EXPECT_THAT(row.at("entropy_nats"), IsEmpty());
            EXPECT_LE(std::stod(row.at("top_tokens_fraction")), std::stod(row.at("mass_fraction")) + 1e-6);
        } else {
            EXPECT_GT(std::stod(row.at("entropy_nats")), 0.0);
            EXPECT_LT(std::stod(row.at("entropy_nats")), std::log(156.0));
            EXPECT_LE(std::stod(row.at("row_max_fraction")), std::stod(row.at("top_8_mass_fraction")) + 1e-6);
        }
    }
    EXPECT_EQ(rows.back().at("id"), "synthetic-1");
}

TEST_F(AnalyzeCommand, MeasuresMethodsAtBudgets)
{
    const ProgramRun run = analyze({"--method", "full", "--method", "h2o", "--keep", "0.1,0.5", "--json", "--sample",
        "0", "--rows", "4", "--metric", "retained_mass", "--metric", "representation_error", "--metric",
        "broken_shots,global_eviction,kept_spans,method_overlap,oracle_overlap"});
    ASSERT_EQ(run.status, 0) << run.err;
    std::map<std::string, int> counts;
    for (const Json& row : jsonLines(run.out)) {
        const std::string metric = row["metric"];
        ++counts[metric];
        const bool isFull = row["method"] == "full";
        EXPECT_TRUE(row["budget"] == "keep=0.1" || row["budget"] == "keep=0.5");
        if (metric == "retained_mass") {
            EXPECT_EQ(row["queries_count"], row["queries"] == "last" ? 4 : 6);
            EXPECT_EQ(row["mean_mass_fraction"] == 1.0, isFull);
        } else if (metric == "representation_error") {
            EXPECT_EQ(row["error_ratio"] == 0.0, isFull);
        } else if (metric == "broken_shots") {
            EXPECT_EQ(row["shots_count"], 2);
            EXPECT_EQ(row["whole_shots_count"], isFull ? 2 : 0);
        } else if (metric == "global_eviction" && isFull) {
            EXPECT_EQ(row["evicted_fraction"], 0.0);
        } else if (metric == "method_overlap") {
            EXPECT_EQ(row["other_method"], "h2o");
            EXPECT_NEAR(row["jaccard_fraction"], row["keep_fraction"], 1e-6); // h2o within full
        }
    }
    EXPECT_EQ(counts["retained_mass"], 2 * 2 * 2 * 4 * 2); // methods, budgets, layers, heads, queries
    EXPECT_EQ(counts["representation_error"], 2 * 2 * 2 * 4);
    EXPECT_EQ(counts["global_eviction"], 2 * 2 * 3); // two layers and both
    EXPECT_EQ(counts["method_overlap"], 2 * 2 * 2);
    EXPECT_EQ(counts["oracle_overlap"], 2 * 2 * 2 * 2);
}

TEST_F(AnalyzeCommand, TakesSeveralRecordings)
{
    const ProgramRun run = runBuilt(
        "kvloupe", {"analyze", file("rec.h5"), file("stats.h5"), "--metric", "sparsity", "--csv", "--sample", "0"});
    ASSERT_EQ(run.status, 0) << run.err;
    const auto rows = csvLines(run.out);
    EXPECT_EQ(rows.front().at("recording"), file("rec.h5"));
    EXPECT_EQ(rows.back().at("recording"), file("stats.h5"));
    EXPECT_EQ(rows.size(), 2U * 2U * 4U * 2U);
}

TEST_F(AnalyzeCommand, ComparesTwoRecordingsOfTheSameQuestions)
{
    const std::vector<std::string> arguments{"analyze", file("rec.h5"), file("other.h5"), "--pair", "--csv", "--metric",
        "sparsity,span_mass,concentration", "--layer", "1"};
    const ProgramRun run = runBuilt("kvloupe", arguments);
    ASSERT_EQ(run.status, 0) << run.err;
    const auto rows = csvLines(run.out);
    bool hasShots = false;
    for (const auto& row : rows) {
        EXPECT_EQ(row.at("samples_count"), "2");
        EXPECT_EQ(row.at("heads_count"), "4");
        EXPECT_NEAR(std::stod(row.at("difference_mean")),
            std::stod(row.at("second_mean")) - std::stod(row.at("first_mean")), 1e-4);
        EXPECT_LE(std::stod(row.at("difference_low")), std::stod(row.at("difference_mean")) + 1e-9);
        EXPECT_GE(std::stod(row.at("difference_high")), std::stod(row.at("difference_mean")) - 1e-9);
        hasShots = hasShots || row.at("span") == "shot";
    }
    EXPECT_TRUE(hasShots);
    EXPECT_EQ(runBuilt("kvloupe", arguments).out, run.out) << "seeded";

    // A recording is what it is: compared with itself nothing differs.
    const ProgramRun same
        = runBuilt("kvloupe", {"analyze", file("rec.h5"), file("rec.h5"), "--pair", "--json", "--metric", "sparsity"});
    ASSERT_EQ(same.status, 0) << same.err;
    for (const Json& row : jsonLines(same.out)) {
        EXPECT_EQ(row["difference_mean"], 0.0);
        EXPECT_EQ(row["difference_high"], 0.0);
        EXPECT_LT(row["first_low"], row["first_high"]);
    }
}

TEST_F(AnalyzeCommand, NamesTheOptionThatRecordsWhatIsMissing)
{
    for (const char* metric : {"representation_error", "oracle_overlap"}) {
        const ProgramRun run = analyze({"--metric", metric, "--method", "h2o", "--keep", "0.5"}, "stats.h5");
        EXPECT_EQ(run.status, 1) << metric;
        EXPECT_THAT(run.err, HasSubstr("--record qk")) << metric;
        EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
    }
    EXPECT_EQ(analyze({"--method", "h2o", "--keep", "0.5"}, "stats.h5").status, 0) << "what it has is measured";
}

TEST_F(AnalyzeCommand, RefusesWrongUsage)
{
    const std::vector<std::pair<std::vector<std::string>, std::string>> wrong{
        {{"--metric", "sparsty"}, "did you mean sparsity"},
        {{"--metric", "retained_mass"}, "--method and a budget"},
        {{"--metric", "sparsity", "--method", "h2o", "--keep", "0.1"}, "no metric that measures them"},
        {{"--method", "h2o"}, "exactly one of --keep, --capacity and --compression-ratio"},
        {{"--method", "h2o", "--keep", "0.1", "--capacity", "5"}, "exactly one"},
        {{"--keep", "0.1"}, "--method"},
        {{"--method", "h20", "--keep", "0.1"}, "h2o"},
        {{"--rows", "0"}, "0"},
        {{"--csv", "--json"}, "--json"},
        {{"--pair"}, "found 1 recording"},
        {{file("other.h5"), "--pair", "--metric", "sparsity_rows"}, "sparsity"},
    };
    for (const auto& [arguments, message] : wrong) {
        const ProgramRun run = analyze(arguments);
        EXPECT_EQ(run.status, 2) << ::testing::PrintToString(arguments) << run.err;
        EXPECT_THAT(run.err, HasSubstr(message)) << ::testing::PrintToString(arguments);
        EXPECT_THAT(run.out, IsEmpty());
    }
    for (const auto& arguments : {std::vector<std::string>{"--layer", "7"}, {"--head", "4"}, {"--sample", "nine"}}) {
        const ProgramRun run = analyze(arguments);
        EXPECT_EQ(run.status, 1) << run.err;
        EXPECT_THAT(run.err, HasSubstr("rec.h5"));
    }
}

} // namespace
} // namespace kvloupe
