// SPDX-License-Identifier: GPL-3.0-or-later

// Every table of an analysis against plain loops over whole maps, cell by cell.

#include "core/metrics/analysis.h"

#include "core/methods/method_registry.h"
#include "core/metrics/measure_text.h"
#include "core/replay/evidence_builder.h"
#include "core/replay/replay.h"
#include "tests/support/make_recording.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <numeric>
#include <set>

namespace kvloupe {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int prompt = 150;
constexpr int total = 162;
constexpr int heads = 4;
constexpr int kvHeads = 2;
constexpr double tolerance = 2e-5; ///< of float32 rows made in two ways

SyntheticRecording smallOptions(RecordKind kind)
{
    SyntheticRecording options;
    options.heads = heads;
    options.kvHeads = kvHeads;
    options.headDim = 16;
    options.promptTokens = prompt;
    options.generatedTokens = total - prompt;
    options.kind = kind;
    options.layers = 3;
    return options;
}

Recording recorded(const TemporaryFolder& folder, const SyntheticRecording& options, const char* name = "r.h5")
{
    makeRecording(folder.path() / name, options);
    return Recording::open(folder.path() / name);
}

using Row = std::map<std::string, MeasureCell>;

std::vector<Row> analysed(const Recording& recording, AnalysisOptions options)
{
    std::vector<Row> rows;
    const Analysis analysis(recording, std::move(options));
    EXPECT_TRUE(analysis.run(
        0, promptLayout(recording, 0),
        [&](const MeasureRow& row) {
            ASSERT_EQ(row.cells.size(), row.metric->columns.size()) << row.metric->name;
            Row& named = rows.emplace_back();
            named["metric"] = row.metric->name;
            for (std::size_t cell = 0; cell < row.cells.size(); ++cell)
                named[row.metric->columns[cell].name] = row.cells[cell];
        },
        [](double) { return true; }));
    return rows;
}

double real(const Row& row, const std::string& column)
{
    return std::get<double>(row.at(column));
}
int whole(const Row& row, const std::string& column)
{
    return static_cast<int>(std::get<std::int64_t>(row.at(column)));
}
std::string text(const Row& row, const std::string& column)
{
    return std::get<std::string>(row.at(column));
}

/// Softmax of queries and keys in double, [query][key], straight from the definition.
std::vector<std::vector<double>> slowMap(const Recording& recording, int layer, int head)
{
    const int dim = recording.model().headDim;
    std::vector<float> queries(static_cast<std::size_t>(total * dim));
    std::vector<float> keys(queries.size());
    recording.readVectors(0, layer, VectorArray::Queries, head, 0, total, queries);
    recording.readVectors(0, layer, VectorArray::Keys, head / (heads / kvHeads), 0, total, keys);
    std::vector<std::vector<double>> map(total, std::vector<double>(total, 0.0));
    for (int query = 0; query < total; ++query) {
        auto& row = map[static_cast<std::size_t>(query)];
        double sum = 0.0;
        for (int key = 0; key <= query; ++key) {
            double dot = 0.0;
            for (int i = 0; i < dim; ++i)
                dot += static_cast<double>(queries[static_cast<std::size_t>(query * dim + i)])
                    * static_cast<double>(keys[static_cast<std::size_t>(key * dim + i)]);
            sum += row[static_cast<std::size_t>(key)] = std::exp(dot * recording.sample(0).softmaxScale);
        }
        for (double& cell : row)
            cell /= sum;
    }
    return map;
}

/// A recording with its maps, [head][query][key], of one layer, and a few methods cut at one budget.
class AnalysisTest : public testing::Test {
protected:
    AnalysisTest()
        : m_recording(recorded(m_folder, smallOptions(RecordKind::QueriesKeys)))
    {
        for (int head = 0; head < heads; ++head)
            m_map.push_back(slowMap(m_recording, layer, head));
        for (const char* spec : {"full", "snapkv:window=8", "streaming_llm", "h2o:granularity=q_head"})
            m_methods.push_back(parseMethod(spec));
        m_budget = Budget::keep("0.3");
        for (const ScoredSample& scored : Replay(m_recording).score(0, m_methods))
            m_kept[scored.method().spec] = scored.choose(m_budget).kept;
    }

    AnalysisOptions options(std::vector<Metric> metrics, bool methods = false) const
    {
        AnalysisOptions result;
        result.metrics = std::move(metrics);
        if (methods) {
            result.methods = m_methods;
            result.budgets = {m_budget};
        }
        return result;
    }

    std::vector<Row> ofLayer(AnalysisOptions wanted) const
    {
        wanted.layers = {layer};
        return analysed(m_recording, std::move(wanted));
    }

    double cell(int head, int query, int key) const
    {
        return m_map[static_cast<std::size_t>(head)][static_cast<std::size_t>(query)][static_cast<std::size_t>(key)];
    }
    const std::vector<std::int32_t>& keptOf(const std::string& spec, int head) const
    {
        const auto& sets = m_kept.at(spec).at(layer).sets;
        return sets[static_cast<std::size_t>(head) * sets.size() / heads];
    }

    static constexpr int layer = 1;
    TemporaryFolder m_folder;
    Recording m_recording;
    std::vector<std::vector<std::vector<double>>> m_map;
    std::vector<Method> m_methods;
    Budget m_budget = Budget::keep("1");
    std::map<std::string, std::map<int, KeepSet>> m_kept;
};

TEST_F(AnalysisTest, SparsityIsTheMeanOverRows)
{
    const auto rows = ofLayer(options({Metric::Sparsity}));
    ASSERT_EQ(rows.size(), 2U * heads);
    for (const Row& row : rows) {
        const int head = whole(row, "head");
        const bool isPrompt = text(row, "queries") == "prompt";
        const int begin = isPrompt ? 0 : prompt;
        const int end = isPrompt ? prompt : total;
        double entropy = 0.0;
        double effective = 0.0;
        double gini = 0.0;
        double top8 = 0.0;
        double sink = 0.0;
        double maximum = 0.0;
        for (int query = begin; query < end; ++query) {
            std::vector<double> cells;
            double h = 0.0;
            for (int key = 0; key <= query; ++key) {
                cells.push_back(cell(head, query, key));
                h -= cells.back() > 0.0 ? cells.back() * std::log(cells.back()) : 0.0;
                sink += key < 4 ? cells.back() : 0.0;
            }
            double differences = 0.0;
            for (const double a : cells)
                for (const double b : cells)
                    differences += std::abs(a - b);
            entropy += h;
            effective += std::exp(h);
            gini += differences / (2.0 * static_cast<double>(cells.size()));
            std::ranges::sort(cells, std::greater<>());
            maximum += cells.front();
            top8 += std::accumulate(cells.begin(), cells.begin() + std::min<std::ptrdiff_t>(8, std::ssize(cells)), 0.0);
        }
        const double count = end - begin;
        EXPECT_NEAR(real(row, "entropy_nats"), entropy / count, 1e-4);
        EXPECT_NEAR(real(row, "effective_keys_count") * count / effective, 1.0, 1e-4);
        EXPECT_NEAR(real(row, "gini_index"), gini / count, tolerance);
        EXPECT_NEAR(real(row, "top_8_mass_fraction"), top8 / count, tolerance);
        EXPECT_NEAR(real(row, "sink_mass_fraction"), sink / count, tolerance);
        EXPECT_NEAR(real(row, "row_max_fraction"), maximum / count, tolerance);
    }
}

TEST_F(AnalysisTest, SparsityRowsAreWhatSparsityAverages)
{
    const auto rows = ofLayer(options({Metric::Sparsity, Metric::SparsityRows}));
    std::map<int, double> sums;
    std::map<int, int> counts;
    for (const Row& row : rows)
        if (text(row, "metric") == "sparsity_rows" && whole(row, "query") < prompt) {
            sums[whole(row, "head")] += real(row, "gini_index");
            ++counts[whole(row, "head")];
        }
    for (const Row& row : rows)
        if (text(row, "metric") == "sparsity" && text(row, "queries") == "prompt") {
            EXPECT_EQ(counts[whole(row, "head")], prompt);
            EXPECT_NEAR(real(row, "gini_index"), sums[whole(row, "head")] / prompt, 1e-9);
        }
}

TEST_F(AnalysisTest, SpanMassSharesOutTheAttentionOfLastPromptAndGeneratedQueries)
{
    AnalysisOptions wanted = options({Metric::SpanMass});
    wanted.lastRows = 5;
    const auto rows = ofLayer(wanted);
    const auto spans = m_recording.readText(0).spans;
    std::map<std::string, std::pair<int, int>> ranges; // spans of this recording do not overlap but within shots
    for (const Span& span : spans)
        ranges[span.kind == SpanKind::Shot ? "shot" + std::to_string(span.shot) : std::string(spanKindName(span.kind))]
            = {static_cast<int>(span.begin), static_cast<int>(span.end)};
    std::map<std::pair<int, std::string>, double> sums;
    std::set<std::string> names;
    for (const Row& row : rows) {
        const std::string queries = text(row, "queries");
        const int head = whole(row, "head");
        const bool isShot = std::holds_alternative<std::int64_t>(row.at("shot"));
        const std::string name = text(row, "span") + (isShot ? std::to_string(whole(row, "shot")) : "");
        names.insert(name);
        const auto [begin, end] = ranges.at(name);
        const int firstQuery = queries == "last" ? prompt - 5 : queries == "prompt" ? 0 : prompt;
        const int lastQuery = queries == "generated" ? total : prompt;
        double mass = 0.0;
        for (int query = firstQuery; query < lastQuery; ++query)
            for (int key = begin; key < std::min(end, query + 1); ++key)
                mass += cell(head, query, key) / (lastQuery - firstQuery);
        EXPECT_NEAR(real(row, "mass_fraction"), mass, tolerance) << queries << " " << name;
        EXPECT_EQ(whole(row, "tokens_count"), end - begin);
        sums[{head, queries}] += real(row, "mass_fraction");
    }
    EXPECT_THAT(names, testing::IsSupersetOf({"bos", "instruction", "shot0", "shot1", "question", "generated"}));
    EXPECT_EQ(sums.size(), 3U * heads);
    for (const auto& [key, sum] : sums)
        EXPECT_NEAR(sum, 1.0, 1e-9) << key.second;
}

TEST_F(AnalysisTest, CumulativeCurvesSortWhatTokensReceived)
{
    const auto rows = ofLayer(options({Metric::Cumulative, Metric::Concentration}));
    for (const Row& row : rows) {
        const int head = whole(row, "head");
        std::vector<double> received;
        for (int key = whole(row, "excluded_tokens_count"); key < prompt; ++key) {
            double sum = 0.0;
            for (int query = key; query < prompt; ++query)
                sum += cell(head, query, key);
            received.push_back(sum);
        }
        std::ranges::sort(received, std::greater<>());
        const double all = std::accumulate(received.begin(), received.end(), 0.0);
        const auto count = static_cast<double>(received.size());
        if (text(row, "metric") == "cumulative") {
            const double at = real(row, "top_tokens_fraction") * count;
            double mass = 0.0;
            for (std::size_t i = 0; i < received.size(); ++i)
                mass += std::clamp(at - static_cast<double>(i), 0.0, 1.0) * received[i];
            EXPECT_NEAR(real(row, "mass_fraction"), mass / all, tolerance);
        } else {
            double area = 0.0;
            for (std::size_t i = 0; i < received.size(); ++i) // the token at rank i lifts all that is right of it
                area += received[i] * (count - static_cast<double>(i) - 0.5);
            EXPECT_NEAR(real(row, "area_fraction"), area / all / count, tolerance);
        }
    }
    EXPECT_EQ(std::ranges::count_if(rows, [](const Row& row) { return text(row, "metric") == "cumulative"; }),
        2 * 13 * heads);
}

TEST_F(AnalysisTest, RetainedMassIsOverLastAndGeneratedQueries)
{
    AnalysisOptions wanted = options({Metric::RetainedMass}, true);
    wanted.lastRows = 4;
    const auto rows = ofLayer(wanted);
    EXPECT_EQ(rows.size(), 2U * 4U * heads);
    for (const Row& row : rows) {
        const bool isLast = text(row, "queries") == "last";
        const int head = whole(row, "head");
        std::vector<double> masses;
        for (int query = isLast ? prompt - 4 : prompt; query < (isLast ? prompt : total); ++query) {
            double mass = 0.0;
            for (const std::int32_t key : keptOf(text(row, "method"), head))
                mass += cell(head, query, key);
            for (int key = prompt; key <= query; ++key)
                mass += cell(head, query, key); // generated tokens stay
            masses.push_back(mass);
        }
        std::ranges::sort(masses);
        EXPECT_EQ(whole(row, "queries_count"), std::ssize(masses));
        EXPECT_NEAR(real(row, "mean_mass_fraction"),
            std::accumulate(masses.begin(), masses.end(), 0.0) / static_cast<double>(masses.size()), tolerance);
        const double middle = (masses[(masses.size() - 1) / 2] + masses[masses.size() / 2]) / 2.0;
        EXPECT_NEAR(real(row, "median_mass_fraction"), middle, tolerance);
        EXPECT_GE(real(row, "p5_mass_fraction"), masses.front() - tolerance);
        EXPECT_LE(real(row, "p5_mass_fraction"), masses[1] + tolerance);
        if (text(row, "method") == "full") {
            EXPECT_EQ(real(row, "mean_mass_fraction"), 1.0);
        }
    }
}

TEST_F(AnalysisTest, RetainedMassFollowsMethodsThatEvictWhileDecoding)
{
    AnalysisOptions wanted = options({Metric::RetainedMass});
    wanted.methods = {parseMethod("streaming_llm@paper:n_sink=2")};
    wanted.budgets = {Budget::capacity(10)};
    for (const Row& row : ofLayer(wanted)) {
        if (text(row, "queries") != "generated")
            continue;
        const int head = whole(row, "head");
        double mean = 0.0;
        for (int query = prompt; query < total; ++query) {
            // Two sinks and the eight newest before this query, then the query itself.
            mean += cell(head, query, 0) + cell(head, query, 1);
            for (int key = query - 8; key <= query; ++key)
                mean += cell(head, query, key);
        }
        EXPECT_NEAR(real(row, "mean_mass_fraction"), mean / (total - prompt), tolerance);
        EXPECT_EQ(text(row, "budget"), "capacity=10");
    }
}

TEST_F(AnalysisTest, RepresentationErrorComparesTheOutputsOfHeads)
{
    AnalysisOptions wanted = options({Metric::RepresentationError}, true);
    wanted.lastRows = 3;
    const auto rows = ofLayer(wanted);
    EXPECT_EQ(rows.size(), 4U * heads);
    const int dim = m_recording.model().headDim;
    for (const Row& row : rows) {
        const int head = whole(row, "head");
        std::vector<float> values(static_cast<std::size_t>(prompt * dim));
        m_recording.readVectors(0, layer, VectorArray::Values, head / (heads / kvHeads), 0, prompt, values);
        double error = 0.0;
        for (int query = prompt - 3; query < prompt; ++query) {
            double keptMass = 0.0;
            for (const std::int32_t key : keptOf(text(row, "method"), head))
                keptMass += cell(head, query, key);
            double difference = 0.0;
            double norm = 0.0;
            for (int i = 0; i < dim; ++i) {
                double full = 0.0;
                double compressed = 0.0;
                const auto value
                    = [&](int key) { return static_cast<double>(values[static_cast<std::size_t>(key * dim + i)]); };
                for (int key = 0; key <= query; ++key)
                    full += cell(head, query, key) * value(key);
                for (const std::int32_t key : keptOf(text(row, "method"), head))
                    compressed += cell(head, query, key) * value(key) / keptMass;
                difference += (compressed - full) * (compressed - full);
                norm += full * full;
            }
            error += std::sqrt(difference / norm) / 3.0;
        }
        EXPECT_NEAR(real(row, "error_ratio"), error, 1e-3 * (1.0 + error));
        if (text(row, "method") == "full") {
            EXPECT_EQ(real(row, "error_ratio"), 0.0);
        } else {
            EXPECT_GT(real(row, "error_ratio"), 0.01);
        }
    }
}

TEST_F(AnalysisTest, KeptSetsAreCountedBySpanShotAndPosition)
{
    const auto rows = ofLayer(options({Metric::KeptSpans, Metric::BrokenShots, Metric::PositionBias}, true));
    const PromptLayout layout = promptLayout(m_recording, 0);
    std::map<std::pair<std::string, int>, int> kept;
    std::map<std::pair<std::string, int>, int> keptByPart;
    for (const Row& row : rows) {
        const std::string spec = text(row, "method");
        const int set = whole(row, "head");
        const auto& positions = m_kept.at(spec).at(layer).sets.at(static_cast<std::size_t>(set));
        const auto within = [&](std::int64_t begin, std::int64_t end) {
            return static_cast<int>(
                std::ranges::count_if(positions, [&](int position) { return position >= begin && position < end; }));
        };
        EXPECT_EQ(text(row, "granularity"), granularityName(m_kept.at(spec).at(layer).granularity));
        if (text(row, "metric") == "kept_spans") {
            kept[{spec, set}] += whole(row, "kept_tokens_count");
            EXPECT_DOUBLE_EQ(real(row, "kept_fraction"),
                static_cast<double>(whole(row, "kept_tokens_count")) / whole(row, "tokens_count"));
            if (text(row, "span") == "shot") {
                const TokenRange shot = layout.shots()[static_cast<std::size_t>(whole(row, "shot"))];
                EXPECT_EQ(whole(row, "kept_tokens_count"), within(shot.begin, shot.end));
                EXPECT_EQ(whole(row, "tokens_count"), shot.size());
            }
        } else if (text(row, "metric") == "position_bias") {
            const int part = whole(row, "part");
            keptByPart[{spec, set}] += whole(row, "kept_tokens_count");
            EXPECT_EQ(whole(row, "kept_tokens_count"), within(part * 15, part * 15 + 15));
            EXPECT_DOUBLE_EQ(real(row, "kept_fraction"), within(part * 15, part * 15 + 15) / 15.0);
        } else {
            int broken = 0;
            int dropped = 0;
            for (const TokenRange& shot : layout.shots()) {
                const int held = within(shot.begin, shot.end);
                broken += held > 0 && held < shot.size();
                dropped += held == 0;
            }
            const auto count = static_cast<int>(layout.shots().size());
            EXPECT_EQ(count, 2);
            EXPECT_EQ(whole(row, "shots_count"), count);
            EXPECT_EQ(whole(row, "broken_shots_count"), broken);
            EXPECT_EQ(whole(row, "dropped_shots_count"), dropped);
            EXPECT_EQ(whole(row, "whole_shots_count"), count - broken - dropped);
            EXPECT_DOUBLE_EQ(real(row, "broken_shots_fraction"), static_cast<double>(broken) / count);
        }
    }
    for (const auto& [key, count] : kept) {
        EXPECT_EQ(count, key.first == "full" ? prompt : 45) << key.first;
        EXPECT_EQ(count, keptByPart.at(key));
    }
    EXPECT_EQ(kept.size(), 3U * kvHeads + heads);
}

TEST_F(AnalysisTest, GlobalEvictionIsOfAllHeadsAndOfAllLayers)
{
    const auto rows = analysed(m_recording, options({Metric::GlobalEviction}, true));
    EXPECT_EQ(rows.size(), 4U * 4U);
    for (const Row& row : rows) {
        std::set<int> anywhere;
        for (const auto& [number, keep] : m_kept.at(text(row, "method")))
            if (std::holds_alternative<std::monostate>(row.at("layer")) || whole(row, "layer") == number)
                for (const auto& set : keep.sets)
                    anywhere.insert(set.begin(), set.end());
        EXPECT_EQ(whole(row, "tokens_count"), prompt);
        EXPECT_EQ(whole(row, "evicted_tokens_count"), prompt - std::ssize(anywhere));
        EXPECT_DOUBLE_EQ(real(row, "evicted_fraction"), static_cast<double>(prompt - std::ssize(anywhere)) / prompt);
    }
}

TEST_F(AnalysisTest, OverlapsAreJaccardOfKeptSets)
{
    const auto rows
        = analysed(m_recording, options({Metric::MethodOverlap, Metric::LayerOverlap, Metric::HeadOverlap}, true));
    std::map<std::string, int> counts;
    const auto setOf = [&](const std::string& spec, int number, int set, bool perQueryHead) {
        const auto& sets = m_kept.at(spec).at(number).sets;
        return sets[perQueryHead ? static_cast<std::size_t>(set) * sets.size() / heads : static_cast<std::size_t>(set)];
    };
    for (const Row& row : rows) {
        const std::string metric = text(row, "metric");
        ++counts[metric];
        const std::string spec = text(row, "method");
        const std::string other = metric == "method_overlap" ? text(row, "other_method") : spec;
        const bool perQueryHead = text(row, "granularity") == "q_head";
        const auto a = setOf(spec, whole(row, "layer"), whole(row, "head"), perQueryHead);
        const auto b = setOf(other, metric == "layer_overlap" ? whole(row, "other_layer") : whole(row, "layer"),
            metric == "head_overlap" ? whole(row, "other_head") : whole(row, "head"), perQueryHead);
        std::vector<int> both;
        std::vector<int> either;
        std::ranges::set_intersection(a, b, std::back_inserter(both));
        std::ranges::set_union(a, b, std::back_inserter(either));
        EXPECT_DOUBLE_EQ(
            real(row, "jaccard_fraction"), static_cast<double>(both.size()) / static_cast<double>(either.size()))
            << metric << " " << spec << " " << other;
    }
    EXPECT_EQ(counts["method_overlap"], 3 * (3 * kvHeads + 3 * heads)); // three pairs of KV heads, three of query heads
    EXPECT_EQ(counts["layer_overlap"], 3 * (3 * kvHeads + heads));
    EXPECT_EQ(counts["head_overlap"], 3 * (3 * 1 + 6));
}

TEST_F(AnalysisTest, TheOracleKeepsWhatGeneratedQueriesSee)
{
    const auto rows = ofLayer(options({Metric::OracleOverlap}, true));
    EXPECT_EQ(rows.size(), 3U * kvHeads + heads);
    for (const Row& row : rows) {
        const std::string granularity = text(row, "granularity");
        const int set = whole(row, "head");
        const int group = granularity == "q_head" ? 1 : granularity == "kv_head" ? heads / kvHeads : heads;
        const int first = granularity == "layer" ? 0 : set * group;
        const auto& kept = m_kept.at(text(row, "method")).at(layer).sets.at(static_cast<std::size_t>(set));
        std::vector<std::pair<double, int>> future;
        double all = 0.0;
        for (int key = 0; key < prompt; ++key) {
            double mass = 0.0;
            for (int head = first; head < first + group; ++head)
                for (int query = prompt; query < total; ++query)
                    mass += cell(head, query, key);
            future.emplace_back(-mass, key);
            all += mass;
        }
        std::ranges::sort(future);
        std::set<int> oracle;
        double oracleMass = 0.0;
        double keptMass = 0.0;
        for (std::size_t i = 0; i < kept.size(); ++i) {
            oracle.insert(future[i].second);
            oracleMass -= future[i].first;
        }
        int both = 0;
        for (const auto& [mass, key] : future)
            if (std::ranges::binary_search(kept, key)) {
                keptMass -= mass;
                both += oracle.contains(key);
            }
        EXPECT_DOUBLE_EQ(real(row, "jaccard_fraction"), both / (2.0 * static_cast<double>(kept.size()) - both));
        EXPECT_NEAR(real(row, "prompt_mass_fraction"), keptMass / all, tolerance);
        EXPECT_NEAR(real(row, "oracle_prompt_mass_fraction"), oracleMass / all, tolerance);
        EXPECT_GE(real(row, "oracle_prompt_mass_fraction"), real(row, "prompt_mass_fraction"));
        EXPECT_EQ(whole(row, "kept_tokens_count"), std::ssize(kept));
        if (text(row, "method") == "full") {
            EXPECT_EQ(real(row, "jaccard_fraction"), 1.0);
        }
    }
}

std::vector<Metric> allMetrics()
{
    std::vector<Metric> metrics;
    for (const MetricInfo& info : metricCatalog())
        metrics.push_back(info.metric);
    return metrics;
}

std::string textOf(const Recording& recording, const AnalysisOptions& options)
{
    std::string text;
    Analysis(recording, options)
        .run(
            0, promptLayout(recording, 0), [&](const MeasureRow& row) { text += measureJson(row); },
            [](double) { return true; });
    return text;
}

TEST_F(AnalysisTest, GivesTheSameBytesOnAnyNumberOfThreads)
{
    AnalysisOptions everything = options(allMetrics(), true);
    everything.lastRows = 7;
    const std::string many = textOf(m_recording, everything);
    const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
    EXPECT_TRUE(textOf(m_recording, everything) == many);
    EXPECT_GT(many.size(), 100'000U);
}

TEST_F(AnalysisTest, GivesTheSameFromEveryKindOfRecording)
{
    const TemporaryFolder folder;
    const Recording statistics = recorded(folder, smallOptions(RecordKind::Statistics));
    const TemporaryFolder other;
    const Recording full = recorded(other, smallOptions(RecordKind::Full));
    AnalysisOptions wanted = options({Metric::Sparsity, Metric::Cumulative, Metric::KeptSpans, Metric::BrokenShots,
                                         Metric::GlobalEviction, Metric::MethodOverlap},
        true);
    const auto withoutPath = [](std::string rows, const Recording& recording) {
        const std::string path = recording.path().string();
        for (auto at = rows.find(path); at != std::string::npos; at = rows.find(path))
            rows.erase(at, path.size());
        return rows;
    };
    const std::string expected = withoutPath(textOf(m_recording, wanted), m_recording);
    EXPECT_TRUE(withoutPath(textOf(statistics, wanted), statistics) == expected);
    EXPECT_TRUE(withoutPath(textOf(full, wanted), full) == expected);

    // Rows of generated tokens are left out where there are none; the last prompt rows are in the tail.
    for (const Row& row : analysed(statistics, options({Metric::SpanMass, Metric::RetainedMass}, true)))
        EXPECT_NE(text(row, "queries"), "generated");
}

TEST_F(AnalysisTest, ReportsOnTheLayersAndHeadsThatWereAskedFor)
{
    AnalysisOptions wanted = options({Metric::Sparsity, Metric::KeptSpans, Metric::LayerOverlap}, true);
    wanted.layers = {2, 0};
    wanted.heads = {3};
    for (const Row& row : analysed(m_recording, wanted)) {
        EXPECT_NE(whole(row, "layer"), 1);
        EXPECT_EQ(whole(row, "head"),
            text(row, "metric") == "sparsity" || text(row, "granularity") == "q_head" ? 3 : 1); // KV head of head 3
    }
}

TEST(Analysis, OfLayersWithASlidingWindowCountsWhatTheCacheHolds)
{
    const TemporaryFolder folder;
    SyntheticRecording small = smallOptions(RecordKind::QueriesKeys);
    small.window = 40;
    const Recording recording = recorded(folder, small);
    AnalysisOptions options;
    options.metrics = {Metric::RetainedMass, Metric::RepresentationError, Metric::KeptSpans, Metric::PositionBias,
        Metric::GlobalEviction, Metric::OracleOverlap, Metric::SpanMass};
    options.methods = {parseMethod("full"), parseMethod("h2o")};
    options.budgets = {Budget::keep("0.25")};
    options.lastRows = 6;
    std::map<std::pair<std::string, int>, int> kept;
    for (const Row& row : analysed(recording, options)) {
        const std::string metric = text(row, "metric");
        const bool isFull = row.contains("method") && text(row, "method") == "full";
        if (metric == "retained_mass" && isFull) {
            EXPECT_EQ(real(row, "mean_mass_fraction"), 1.0);
        }
        if (metric == "representation_error" && isFull) {
            EXPECT_EQ(real(row, "error_ratio"), 0.0);
        }
        if (metric == "position_bias") {
            EXPECT_EQ(whole(row, "tokens_count"), 4);
        }
        if (metric == "kept_spans" && isFull) {
            EXPECT_EQ(real(row, "kept_fraction"), 1.0);
        }
        if (metric == "kept_spans" && !isFull && whole(row, "layer") == 1)
            kept[{"h2o", whole(row, "head")}] += whole(row, "kept_tokens_count");
        if (metric == "global_eviction" && isFull) {
            EXPECT_EQ(whole(row, "evicted_tokens_count"),
                std::holds_alternative<std::monostate>(row.at("layer")) ? prompt - 40 : 0);
        }
        if (metric == "oracle_overlap" && isFull) {
            EXPECT_EQ(real(row, "jaccard_fraction"), 1.0);
        }
    }
    EXPECT_EQ((kept[{"h2o", 0}]), 10);
}

TEST(Analysis, SaysWhatWasNotRecordedAndWhichOptionRecordsIt)
{
    const TemporaryFolder folder;
    const Recording statistics = recorded(folder, smallOptions(RecordKind::Statistics), "statistics.h5");
    SyntheticRecording short_ = smallOptions(RecordKind::QueriesKeys);
    short_.generatedTokens = 0;
    const Recording promptOnly = recorded(folder, short_, "prompt.h5");
    const auto message = [](const Recording& recording, Metric metric, std::int64_t rows) -> std::string {
        AnalysisOptions options;
        options.metrics = {metric};
        options.methods = {parseMethod("h2o")};
        options.budgets = {Budget::keep("0.5")};
        options.lastRows = rows;
        try {
            textOf(recording, options);
            return "no error";
        } catch (const Error& error) {
            return error.what();
        }
    };
    EXPECT_THAT(message(statistics, Metric::RepresentationError, 1),
        AllOf(HasSubstr("statistics.h5"), HasSubstr("values"), HasSubstr("--record qk")));
    EXPECT_THAT(message(statistics, Metric::OracleOverlap, 1), HasSubstr("--record qk"));
    EXPECT_THAT(message(statistics, Metric::SpanMass, 65), AllOf(HasSubstr("65"), HasSubstr("--record qk")));
    EXPECT_THAT(message(promptOnly, Metric::OracleOverlap, 1), HasSubstr("--generate N"));
}

TEST(Analysis, RefusesMetricsWithoutMethodsAndPlacesThatDoNotExist)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions(RecordKind::Statistics));
    AnalysisOptions options;
    options.metrics = {Metric::RetainedMass};
    EXPECT_THROW(Analysis(recording, options), Error);
    options.metrics = {Metric::Sparsity};
    options.layers = {3};
    EXPECT_THROW(Analysis(recording, options), Error);
    options.layers = {};
    options.heads = {4};
    EXPECT_THROW(Analysis(recording, options), Error);
    options.heads = {-1};
    EXPECT_THROW(Analysis(recording, options), Error);
}

TEST(Analysis, StopsBetweenLayersWhenAskedTo)
{
    const TemporaryFolder folder;
    const Recording recording = recorded(folder, smallOptions(RecordKind::Statistics));
    AnalysisOptions options;
    options.metrics = {Metric::Sparsity};
    std::set<std::int64_t> layers;
    const bool finished = Analysis(recording, options)
                              .run(
                                  0, promptLayout(recording, 0),
                                  [&](const MeasureRow& row) { layers.insert(std::get<std::int64_t>(row.cells[3])); },
                                  [](double done) { return done < 0.5; });
    EXPECT_FALSE(finished);
    EXPECT_THAT(layers, testing::ElementsAre(0, 1));
}

} // namespace
} // namespace kvloupe
