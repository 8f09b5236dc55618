// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/filler_text.h"

#include <fmt/format.h>

#include <array>

namespace kvloupe {

namespace {

constexpr auto adjectives = std::to_array<std::string_view>({"old", "quiet", "small", "green", "grey", "narrow", "warm",
    "cold", "bright", "distant", "gentle", "dusty", "wooden", "silver", "soft", "heavy"});
constexpr auto subjects = std::to_array<std::string_view>({"boat", "wind", "cat", "farmer", "cloud", "bird", "river",
    "horse", "child", "fisherman", "dog", "traveler", "lantern", "wagon", "crowd", "rain"});
constexpr auto verbs = std::to_array<std::string_view>({"moved", "drifted", "wandered", "turned", "came", "passed",
    "went", "rolled", "returned", "hurried", "rested", "waited"});
constexpr auto adverbs = std::to_array<std::string_view>({"slowly", "softly", "again", "without a sound", "early",
    "once more", "for a while", "as always", "in silence", "calmly"});
constexpr auto prepositions
    = std::to_array<std::string_view>({"past", "near", "behind", "beside", "toward", "around", "below", "beyond"});
constexpr auto places = std::to_array<std::string_view>({"meadow", "hill", "pier", "bridge", "forest", "field", "wall",
    "road", "shore", "orchard", "stable", "well", "fence", "valley", "barn", "path"});
constexpr auto openings = std::to_array<std::string_view>({"", "", "", "", "In the morning ", "Later ",
    "At the end of the day ", "After the rain ", "Sometimes ", "In those days "});

std::string sentence(ItemDraws& draws)
{
    const std::string_view opening = draws.pick(openings);
    const std::string_view first = draws.pick(adjectives);
    const std::string_view subject = draws.pick(subjects);
    const std::string_view verb = draws.pick(verbs);
    const std::string_view adverb = draws.pick(adverbs);
    const std::string_view preposition = draws.pick(prepositions);
    const std::string_view second = draws.pick(adjectives);
    const std::string_view place = draws.pick(places);
    return fmt::format("{}{} {} {} {} {} {} the {} {}.", opening, opening.empty() ? "The" : "the", first, subject, verb,
        adverb, preposition, second, place);
}

} // namespace

std::vector<std::string> fillerSentences(std::int64_t words, ItemDraws& draws)
{
    std::vector<std::string> sentences;
    for (std::int64_t written = 0; written < words;) {
        sentences.push_back(sentence(draws));
        written += countWords(sentences.back());
    }
    return sentences;
}

std::int64_t countWords(std::string_view text)
{
    std::int64_t words = 0;
    bool inside = false;
    for (const char c : text) {
        const bool blank = c == ' ' || (c >= '\t' && c <= '\r');
        words += !blank && !inside ? 1 : 0;
        inside = !blank;
    }
    return words;
}

} // namespace kvloupe
