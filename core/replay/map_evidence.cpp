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
    const std::int64_t rows = evidence.view.lastRowCount;
    evidence.lastRows.resize(static_cast<std::size_t>(maps.queryHeads * rows * maps.tokens));
    if (needs.columnSums)
        evidence.columnSums.resize(static_cast<std::size_t>(maps.queryHeads * maps.tokens));
    tbb::parallel_for(0, maps.queryHeads, [&](int head) {
        const auto cells = static_cast<std::size_t>(maps.tokens * maps.tokens);
        const auto map = maps.maps.subspan(cells * static_cast<std::size_t>(head), cells);
        for (std::int64_t row = 0; row < rows; ++row) {
            const std::int64_t query = maps.tokens - rows + row;
            std::copy_n(map.begin() + query * maps.tokens, query + 1,
                evidence.lastRows.begin() + (head * rows + row) * maps.tokens); // the rest stays 0
        }
        if (!needs.columnSums)
            return;
        std::vector<double> sums(static_cast<std::size_t>(maps.tokens));
        addColumnSums(map, maps.tokens, 0, maps.tokens, sums);
        std::ranges::transform(
            sums, evidence.columnSums.begin() + head * maps.tokens, [](double sum) { return static_cast<float>(sum); });
    });
    evidence.bind();
    evidence.view.check(needs);
    return evidence;
}

} // namespace kvloupe
