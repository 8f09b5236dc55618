// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method_registry.h"
#include "tests/core/methods/evidence_table.h"
#include "tests/core/methods/worked_maps.h"

#include <string>
#include <vector>

namespace kvloupe::worked_example {

using Maps = std::vector<std::vector<std::vector<float>>>;

inline const Maps head0{workedHead0()};
inline const Maps head1{workedHead1()};
inline const Maps group{workedHead0(), workedHead1()}; ///< two query heads over one KV head

/// In percent, as the maps are.
inline Scores scoresOf(const std::string& spec, const Maps& maps, const PromptLayout& layout = PromptLayout(12))
{
    const EvidenceTable table = EvidenceTable::fromMaps(maps, 1);
    return parseMethod(spec).score(table.view, layout);
}

/// What the one KV head keeps in layer `layer` of `numLayers` that all look alike.
inline std::vector<std::int32_t> kept(const std::string& spec, const Maps& maps, const Budget& budget,
    const PromptLayout& layout = PromptLayout(12), int layer = 0, int numLayers = 1,
    std::vector<std::string>* notes = nullptr)
{
    const std::vector<Scores> scores{scoresOf(spec, maps, layout)};
    const std::vector<int> layers{layer};
    const auto sets = parseMethod(spec).chooser->choose(scores, {layers, numLayers, 1, budget, layout, 0, notes});
    return sets.at(0).sets.at(0);
}

} // namespace kvloupe::worked_example
