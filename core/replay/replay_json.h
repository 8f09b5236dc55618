// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/replay/replay.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace kvloupe {

/// What belongs to a result beside its kept sets.
struct ReplayContext {
    int sample = 0;
    std::string sampleId;
    std::int64_t promptTokens = 0;
    std::string at = "prefill"; ///< "prefill", "end" or "step:N"
    Fidelity fidelity = Fidelity::Exact;
};

/// One JSON object on one line without its line break: sample, id, method, spec, parameters, budget, keep, at,
/// granularity, fidelity, prompt_tokens, requested, realised {layer: {head: tokens}}, kept {layer: {head: [positions]}}
/// and retained_mass {layer: {query head: share}} (null when there are no rows), notes [remarks]. Heads are KV heads,
/// or query heads when granularity is q_head. The same form is read back as kept sets of other programs.
std::string replayJson(
    const ReplayContext& context, const Method& method, const Budget& budget, const ReplayResult& result);

/// Why every token stayed or went, {layer: {head: {kept, guard, score, rank, score_without_pooling,
/// kept_without_pooling, threshold, ranked, guarded, realised}}}: arrays by position, null where there is no number.
nlohmann::ordered_json explanationJson(const Explanation& explanation);

/// Per position of every set: {layer: {head: {evicted_at, score, rank, guard, visible}}}. evicted_at: 0 = cut after the
/// prefill, n = after n generated tokens, -1 = never; visible: per step, the ranges that its query saw, if any was
/// hidden.
nlohmann::ordered_json timelineJson(const CacheTimeline& timeline);

/// First line of the CSV form.
std::string_view replayCsvHeader();
/// One line per layer and head with a line break each; kept positions are separated by blanks, retained mass is the
/// mean over the query heads of the row's head (empty when there are no rows).
std::string replayCsv(
    const ReplayContext& context, const Method& method, const Budget& budget, const ReplayResult& result);

} // namespace kvloupe
