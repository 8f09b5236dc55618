// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/measure_text.h"

#include "core/error.h"
#include "core/metrics/head_means.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

namespace kvloupe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

MeasureRow eviction(MeasureCell layer, double fraction)
{
    return {&metricInfo(Metric::GlobalEviction),
        {std::string("a,b.h5"), std::int64_t{0}, std::string("say \"x\""), std::string("h2o"), std::string("keep=0.1"),
            0.1, std::move(layer), fraction, std::int64_t{7}, std::int64_t{70}}};
}

MeasureRow overlap(std::int64_t layer, std::int64_t head, double jaccard)
{
    return {&metricInfo(Metric::MethodOverlap),
        {std::string("r.h5"), std::int64_t{0}, std::string("x"), std::string("h2o"), std::string("keep=0.1"), 0.1,
            std::string("snapkv"), layer, std::string("kv_head"), head, jaccard}};
}

TEST(MetricCatalog, NamesUnitsAndKeepsKeysBeforeMeasures)
{
    for (const MetricInfo& info : metricCatalog()) {
        EXPECT_EQ(&findMetric(info.name), &info);
        EXPECT_EQ(info.columns.front().name, "recording");
        bool measures = false;
        for (const MetricColumn& column : info.columns) {
            EXPECT_FALSE(measures && column.isKey) << info.name;
            measures = measures || !column.isKey;
            if (!column.isKey) {
                EXPECT_THAT(column.name, testing::MatchesRegex(".*_(nats|count|index|fraction|ratio)")) << info.name;
            }
        }
        EXPECT_TRUE(measures) << info.name;
    }
}

TEST(MetricCatalog, SuggestsNamesForAnUnknownOne)
{
    try {
        findMetric("span-mas");
        FAIL();
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("did you mean span_mass?"));
        EXPECT_THAT(error.what(), HasSubstr("oracle_overlap"));
    }
}

TEST(MeasureCsv, UnitesTheColumnsOfItsMetrics)
{
    const std::vector<const MetricInfo*> metrics{
        &metricInfo(Metric::GlobalEviction), &metricInfo(Metric::MethodOverlap)};
    const MeasureCsv csv(metrics);
    EXPECT_EQ(csv.header(),
        "metric,recording,sample,id,method,budget,keep_fraction,layer,other_method,granularity,head,"
        "evicted_fraction,evicted_tokens_count,tokens_count,jaccard_fraction\n");
    EXPECT_EQ(csv.line(eviction(std::int64_t{3}, 0.1)),
        "global_eviction,\"a,b.h5\",0,\"say \"\"x\"\"\",h2o,keep=0.1,0.1,3,,,,0.1,7,70,\n");
    EXPECT_EQ(csv.line(eviction({}, nothing)),
        "global_eviction,\"a,b.h5\",0,\"say \"\"x\"\"\",h2o,keep=0.1,0.1,,,,,,7,70,\n");
    EXPECT_EQ(csv.line(overlap(2, 1, 1.0 / 3.0)),
        "method_overlap,r.h5,0,x,h2o,keep=0.1,0.1,2,snapkv,kv_head,1,,,,0.33333334\n");
}

TEST(MeasureJson, IsOneObjectWithNullsForWhatIsNoNumber)
{
    const std::string line = measureJson(eviction({}, std::numeric_limits<double>::infinity()));
    EXPECT_EQ(line.back(), '\n');
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json["metric"], "global_eviction");
    EXPECT_EQ(json["id"], "say \"x\"");
    EXPECT_TRUE(json["layer"].is_null());
    EXPECT_TRUE(json["evicted_fraction"].is_null());
    EXPECT_EQ(json["tokens_count"], 70);
}

TEST(HeadMeans, AverageOverHeadsAndLeaveOutWhatIsEmpty)
{
    HeadMeans means;
    for (const auto& [layer, head, value] :
        {std::tuple{1, 0, 0.2}, std::tuple{0, 0, 0.5}, std::tuple{1, 1, 0.6}, std::tuple{0, 1, nothing}})
        means.add(overlap(layer, head, value));
    const auto tables = means.tables();
    ASSERT_EQ(tables.size(), 1U);
    EXPECT_TRUE(
        std::ranges::none_of(tables[0].columns, [](const MetricColumn& column) { return column.name == "head"; }));
    ASSERT_EQ(tables[0].rows.size(), 2U);
    EXPECT_EQ(std::get<std::int64_t>(tables[0].rows[0][7]), 1) << "in the order in which they came";
    EXPECT_DOUBLE_EQ(std::get<double>(tables[0].rows[0].back()), 0.4);
    EXPECT_DOUBLE_EQ(std::get<double>(tables[0].rows[1].back()), 0.5);

    HeadMeans apart(true);
    apart.add(overlap(0, 0, 0.5));
    apart.add(overlap(0, 1, 0.7));
    EXPECT_EQ(apart.tables()[0].rows.size(), 2U);
}

} // namespace
} // namespace kvloupe
