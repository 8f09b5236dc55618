// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <span>
#include <string_view>

namespace kvloupe {

/// A thing and what everybody knows of it. Facts of one group could be taken for each other and never stand side by
/// side as choices.
struct SenseFact {
    std::string_view thing; ///< "an umbrella"
    std::string_view about; ///< "stay dry in the rain", "sour", "library"
    std::string_view group;
};

std::span<const SenseFact> kindFacts(); ///< what it is: "a fruit"
std::span<const SenseFact> useFacts(); ///< what it is used for
std::span<const SenseFact> propertyFacts(); ///< what it is or is like
std::span<const SenseFact> placeFacts(); ///< where it is found

} // namespace kvloupe
