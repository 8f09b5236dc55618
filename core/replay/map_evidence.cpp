// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/map_evidence.h"

#include "core/attention/column_sums.h"
#include "core/methods/method_error.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>

namespace kvloupe {

OwnedEvidence evidenceFromMaps(const LayerMaps& maps, const EvidenceNeeds& needs)
{
    EvidenceNeeds served;
    served.lastRows = needs.lastRows;
    served.columnSums = needs.columnSums;
    if (!(served == needs))
        throw MethodError(fmt::format("layer {}: maps hold attention only, and more than that is needed", maps.layer));
    if (maps.queryHeads < 1 || maps.tokens < 0
        || maps.maps.size() != static_cast<std::size_t>(maps.queryHeads * maps.tokens * maps.tokens))
        throw MethodError(fmt::format("layer {}: maps have {} values, expected {} heads of {} x {}", maps.layer,
            maps.maps.size(), maps.queryHeads, maps.tokens, maps.tokens));

    OwnedEvidence evidence;
    evidence.view.layer = maps.layer;
    evidence.view.numLayers = maps.numLayers;
    evidence.view.queryHeads = maps.queryHeads;
    evidence.view.kvHeads = maps.kvHeads;
    evidence.view.tokens = maps.tokens;
    evidence.view.lastRowCount = std::min(needs.lastRows, maps.tokens);
    if (needs.columnSums)
        evidence.columnSums.resize(static_cast<std::size_t>(maps.queryHeads * maps.tokens));
    const auto cells = static_cast<std::size_t>(maps.tokens * maps.tokens);
    tbb::parallel_for(0, needs.columnSums ? maps.queryHeads : 0, [&](int head) {
        const auto map = maps.maps.subspan(cells * static_cast<std::size_t>(head), cells);
        std::vector<double> sums(static_cast<std::size_t>(maps.tokens));
        addColumnSums(map, maps.tokens, 0, maps.tokens, sums);
        std::ranges::transform(
            sums, evidence.columnSums.begin() + head * maps.tokens, [](double sum) { return static_cast<float>(sum); });
    });
    evidence.bind();
    evidence.view.lastRows
        = maps.maps.subspan(static_cast<std::size_t>((maps.tokens - evidence.view.lastRowCount) * maps.tokens));
    evidence.view.lastRowHeadStride = maps.tokens * maps.tokens;
    evidence.view.check(needs);
    return evidence;
}

} // namespace kvloupe
