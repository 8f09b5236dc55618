// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/metric_catalog.h"

#include "core/error.h"
#include "core/methods/nearest_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

namespace kvloupe {

namespace {

using Names = std::initializer_list<const char*>;

MetricInfo attentionMetric(Metric metric, const char* name, const char* summary, Names keys, Names measures)
{
    MetricInfo info;
    info.metric = metric;
    info.name = name;
    info.summary = summary;
    for (const Names& group : {Names{"recording", "sample", "id"}, keys})
        for (const char* key : group)
            info.columns.push_back({key, true});
    for (const char* measure : measures)
        info.columns.push_back({measure, false});
    return info;
}

MetricInfo methodMetric(Metric metric, const char* name, const char* summary, Names keys, Names measures)
{
    MetricInfo info = attentionMetric(metric, name, summary, keys, measures);
    info.needsMethods = true;
    const std::vector<MetricColumn> method{{"method", true}, {"budget", true}, {"keep_fraction", true}};
    info.columns.insert(info.columns.begin() + 3, method.begin(), method.end());
    return info;
}

std::vector<MetricInfo> makeCatalog()
{
    std::vector<MetricInfo> all{
        attentionMetric(Metric::Sparsity, "sparsity", "How concentrated rows are, mean over queries",
            {"layer", "head", "queries"},
            {"entropy_nats", "effective_keys_count", "gini_index", "top_1_mass_fraction", "top_8_mass_fraction",
                "top_64_mass_fraction", "sink_mass_fraction", "row_max_fraction"}),
        attentionMetric(Metric::SparsityRows, "sparsity_rows", "The same for every query on its own",
            {"layer", "head", "query"},
            {"entropy_nats", "effective_keys_count", "gini_index", "top_1_mass_fraction", "top_8_mass_fraction",
                "top_64_mass_fraction", "sink_mass_fraction", "row_max_fraction"}),
        attentionMetric(Metric::SpanMass, "span_mass", "Share of attention on each span of the prompt",
            {"layer", "head", "queries", "span", "shot"}, {"mass_fraction", "tokens_fraction", "tokens_count"}),
        attentionMetric(Metric::Cumulative, "cumulative", "Share of attention on the most attended share of tokens",
            {"layer", "head", "excluded_tokens_count", "top_tokens_fraction"}, {"mass_fraction"}),
        attentionMetric(Metric::Concentration, "concentration", "The cumulative curve in a few numbers",
            {"layer", "head", "excluded_tokens_count"},
            {"area_fraction", "tokens_for_50_percent_fraction", "tokens_for_80_percent_fraction",
                "tokens_for_90_percent_fraction", "tokens_for_95_percent_fraction"}),
        methodMetric(Metric::RetainedMass, "retained_mass", "Attention that falls on kept tokens, over queries",
            {"layer", "head", "queries"},
            {"mean_mass_fraction", "p5_mass_fraction", "median_mass_fraction", "queries_count"}),
        methodMetric(Metric::RepresentationError, "representation_error",
            "How far the output of a head moves: ||A_S V - A V|| / ||A V||", {"layer", "head"},
            {"error_ratio", "queries_count"}),
        methodMetric(Metric::KeptSpans, "kept_spans", "Share of each span that is kept",
            {"layer", "granularity", "head", "span", "shot"}, {"kept_fraction", "kept_tokens_count", "tokens_count"}),
        methodMetric(Metric::BrokenShots, "broken_shots", "Few-shot examples kept in whole, in part or not at all",
            {"layer", "granularity", "head"},
            {"broken_shots_fraction", "shots_count", "whole_shots_count", "broken_shots_count", "dropped_shots_count"}),
        methodMetric(Metric::GlobalEviction, "global_eviction",
            "Tokens that no head of a layer keeps; without a layer: no head of any layer", {"layer"},
            {"evicted_fraction", "evicted_tokens_count", "tokens_count"}),
        methodMetric(Metric::PositionBias, "position_bias", "Share kept in ten equal parts of the prompt",
            {"layer", "granularity", "head", "part"}, {"kept_fraction", "kept_tokens_count", "tokens_count"}),
        methodMetric(Metric::MethodOverlap, "method_overlap", "Jaccard overlap of kept sets of two methods",
            {"other_method", "layer", "granularity", "head"}, {"jaccard_fraction"}),
        methodMetric(Metric::LayerOverlap, "layer_overlap", "Jaccard overlap of kept sets of two layers",
            {"layer", "other_layer", "granularity", "head"}, {"jaccard_fraction"}),
        methodMetric(Metric::HeadOverlap, "head_overlap", "Jaccard overlap of kept sets of two heads of a layer",
            {"layer", "granularity", "head", "other_head"}, {"jaccard_fraction"}),
        methodMetric(Metric::OracleOverlap, "oracle_overlap",
            "Overlap with the prompt tokens that generated queries attend to most, at the same budget",
            {"layer", "granularity", "head"},
            {"jaccard_fraction", "prompt_mass_fraction", "oracle_prompt_mass_fraction", "kept_tokens_count"}),
    };
    for (MetricInfo& info : all)
        info.sharesOfOne = info.metric == Metric::SpanMass;
    return all;
}

} // namespace

std::span<const MetricInfo> metricCatalog()
{
    static const std::vector<MetricInfo> catalog = makeCatalog();
    return catalog;
}

const MetricInfo& metricInfo(Metric metric)
{
    return *std::ranges::find(metricCatalog(), metric, &MetricInfo::metric);
}

const MetricInfo& findMetric(std::string_view name)
{
    const auto found = std::ranges::find(metricCatalog(), name, &MetricInfo::name);
    if (found != metricCatalog().end())
        return *found;
    std::vector<std::string> names;
    for (const MetricInfo& info : metricCatalog())
        names.push_back(info.name);
    throw Error(fmt::format("no metric is called \"{}\"{}; expected one of {}", shownName(name),
        didYouMean(name, names), fmt::join(names, ", ")));
}

} // namespace kvloupe
