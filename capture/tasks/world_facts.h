// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <span>
#include <string_view>

namespace kvloupe {

/// A country with its seat of government. `level` 1: on every school map, 2: less often asked for.
struct CountryFact {
    std::string_view country; ///< with its article: "the Netherlands"
    std::string_view capital;
    std::string_view continent;
    int level;
};

/// Subject and answer of any other kind: element and symbol, country and currency, animal and its young, word and
/// opposite.
struct PairFact {
    std::string_view subject;
    std::string_view answer;
};

std::span<const CountryFact> countryFacts();
std::span<const PairFact> elementFacts();
std::span<const PairFact> currencyFacts();
std::span<const PairFact> youngAnimalFacts();
std::span<const PairFact> oppositeFacts();

} // namespace kvloupe
