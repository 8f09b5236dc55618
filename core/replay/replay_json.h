// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/replay/replay.h"

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
/// and retained_mass {layer: {query head: share}} (null when there are no rows). Heads are KV heads, or query heads
/// when granularity is q_head. The same form is read back as kept sets of other programs.
std::string replayJson(
    const ReplayContext& context, const Method& method, const Budget& budget, const ReplayResult& result);

/// First line of the CSV form.
std::string_view replayCsvHeader();
/// One line per layer and head with a line break each; kept positions are separated by blanks, retained mass is the
/// mean over the query heads of the row's head (empty when there are no rows).
std::string replayCsv(
    const ReplayContext& context, const Method& method, const Budget& budget, const ReplayResult& result);

} // namespace kvloupe
