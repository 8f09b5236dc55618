// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/replay_json.h"

#include "core/replay/csv_field.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <numeric>
#include <span>

namespace kvloupe {

namespace {

using Json = nlohmann::ordered_json;

/// A float as the shortest decimal that reads back as the same float.
double shortest(float value)
{
    return std::stod(fmt::format("{}", value));
}

/// A number, or null: JSON knows no NaN and no infinity.
Json numberOrNull(float value)
{
    return std::isfinite(value) ? Json(shortest(value)) : Json();
}

Json numbers(std::span<const float> values)
{
    Json array = Json::array();
    for (const float value : values)
        array.push_back(numberOrNull(value));
    return array;
}

Json names(std::span<const Guard> guards)
{
    Json array = Json::array();
    for (const Guard guard : guards)
        array.push_back(guardName(guard));
    return array;
}

} // namespace

std::string replayJson(
    const ReplayContext& context, const Method& method, const Budget& budget, const ReplayResult& result)
{
    Json line;
    line["sample"] = context.sample;
    line["id"] = context.sampleId;
    line["method"] = method.name;
    line["spec"] = method.spec;
    line["parameters"] = method.parameters;
    line["budget"] = {{budgetKindName(budget.kind()), budget.text()}};
    line["keep"] = budget.fractionKept(context.promptTokens);
    line["at"] = context.at;
    line["granularity"] = granularityName(method.granularity);
    line["fidelity"] = fidelityName(context.fidelity);
    line["prompt_tokens"] = context.promptTokens;
    line["requested"] = result.requestedTokens;
    Json realised = Json::object();
    Json kept = Json::object();
    for (const auto& [layer, keep] : result.kept) {
        Json sizes = Json::object();
        Json positions = Json::object();
        for (std::size_t set = 0; set < keep.sets.size(); ++set) {
            sizes[std::to_string(set)] = keep.sets[set].size();
            positions[std::to_string(set)] = keep.sets[set];
        }
        realised[std::to_string(layer)] = std::move(sizes);
        kept[std::to_string(layer)] = std::move(positions);
    }
    line["realised"] = std::move(realised);
    line["kept"] = std::move(kept);
    Json mass;
    for (const auto& [layer, heads] : result.retainedMass)
        for (std::size_t head = 0; head < heads.size(); ++head)
            mass[std::to_string(layer)][std::to_string(head)] = shortest(heads[head]);
    line["retained_mass"] = std::move(mass);
    line["notes"] = result.notes;
    return line.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json explanationJson(const Explanation& explanation)
{
    Json layers = Json::object();
    for (const auto& [layer, sets] : explanation.layers) {
        Json heads = Json::object();
        for (std::size_t set = 0; set < sets.size(); ++set) {
            const SetExplanation& one = sets[set];
            Json head{
                {"kept", one.kept}, {"guard", names(one.guards)}, {"score", numbers(one.scores)}, {"rank", one.ranks}};
            if (!one.keptWithoutPooling.empty()) {
                head["score_without_pooling"] = numbers(one.scoresWithoutPooling);
                head["kept_without_pooling"] = one.keptWithoutPooling;
            }
            head["threshold"] = numberOrNull(one.threshold);
            head["ranked"] = one.rankedTokens;
            head["guarded"] = one.guardedTokens;
            head["realised"] = one.realisedTokens;
            heads[std::to_string(set)] = std::move(head);
        }
        layers[std::to_string(layer)] = std::move(heads);
    }
    return layers;
}

Json timelineJson(const CacheTimeline& timeline)
{
    Json layers = Json::object();
    for (const auto& [layer, sets] : timeline.layers) {
        Json heads = Json::object();
        for (std::size_t set = 0; set < sets.size(); ++set) {
            const HeadTimeline& one = sets[set];
            Json head{{"evicted_at", one.evictedAt}, {"score", numbers(one.scores)}, {"rank", one.ranks},
                {"guard", names(one.guards)}};
            if (!one.visible.empty()) {
                Json steps = Json::array();
                for (const auto& ranges : one.visible) {
                    Json step = Json::array();
                    for (const TokenRange& range : ranges)
                        step.push_back({range.begin, range.end});
                    steps.push_back(std::move(step));
                }
                head["visible"] = std::move(steps);
            }
            heads[std::to_string(set)] = std::move(head);
        }
        layers[std::to_string(layer)] = std::move(heads);
    }
    return layers;
}

std::string_view replayCsvHeader()
{
    return "sample,id,method,parameters,budget,keep,at,granularity,fidelity,requested_tokens,layer,head,realised_"
           "tokens,"
           "retained_mass_fraction,kept_positions";
}

std::string replayCsv(
    const ReplayContext& context, const Method& method, const Budget& budget, const ReplayResult& result)
{
    std::string parameters;
    for (const auto& [name, value] : method.parameters)
        parameters += fmt::format("{}{}={}", parameters.empty() ? "" : ";", name, value);
    const std::string common = fmt::format("{},{},{},{},{}={},{},{},{},{},{}", context.sample,
        csvField(context.sampleId), method.name, csvField(parameters), budgetKindName(budget.kind()), budget.text(),
        budget.fractionKept(context.promptTokens), context.at, granularityName(method.granularity),
        fidelityName(context.fidelity), result.requestedTokens);

    std::string lines;
    for (const auto& [layer, keep] : result.kept) {
        const auto mass = result.retainedMass.find(layer);
        for (std::size_t set = 0; set < keep.sets.size(); ++set) {
            std::string share;
            if (mass != result.retainedMass.end()) {
                const std::size_t group = mass->second.size() / keep.sets.size();
                const auto first = mass->second.begin() + static_cast<std::ptrdiff_t>(set * group);
                share = fmt::format("{}",
                    static_cast<float>(std::accumulate(first, first + static_cast<std::ptrdiff_t>(group), 0.0)
                        / static_cast<double>(group)));
            }
            lines += fmt::format("{},{},{},{},{},{}\n", common, layer, set, keep.sets[set].size(), share,
                fmt::join(keep.sets[set], " "));
        }
    }
    return lines;
}

} // namespace kvloupe
