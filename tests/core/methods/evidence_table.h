// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/evidence.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace kvloupe {

/// Evidence of one layer from plain tables, as a test writes them down.
struct EvidenceTable {
    LayerEvidence view;
    std::vector<float> lastRows;
    std::vector<float> columnSums;

    EvidenceTable(int queryHeads, int kvHeads, std::int64_t tokens, int layer = 0, int numLayers = 1)
    {
        view.layer = layer;
        view.numLayers = numLayers;
        view.queryHeads = queryHeads;
        view.kvHeads = kvHeads;
        view.headDim = 1;
        view.tokens = tokens;
        view.softmaxScale = 1.0;
    }
    EvidenceTable(EvidenceTable&&) = default;

    /// From whole causal maps, [head][query][key].
    static EvidenceTable fromMaps(const std::vector<std::vector<std::vector<float>>>& maps, int kvHeads)
    {
        const auto tokens = static_cast<std::int64_t>(maps.front().size());
        EvidenceTable table(static_cast<int>(maps.size()), kvHeads, tokens);
        for (const auto& map : maps) {
            std::vector<float> sums(map.size());
            for (const auto& row : map) {
                std::vector<float> padded(row);
                padded.resize(map.size());
                table.lastRows.insert(table.lastRows.end(), padded.begin(), padded.end());
                std::transform(
                    sums.begin(), sums.end(), padded.begin(), sums.begin(), [](float a, float b) { return a + b; });
            }
            table.columnSums.insert(table.columnSums.end(), sums.begin(), sums.end());
        }
        table.view.lastRowCount = tokens;
        table.bind();
        return table;
    }

    void bind()
    {
        view.lastRows = lastRows;
        view.columnSums = columnSums;
    }
};

} // namespace kvloupe
