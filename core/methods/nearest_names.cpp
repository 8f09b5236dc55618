// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/nearest_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace kvloupe {

namespace {

constexpr std::size_t maximumLength = 64; // longer names are nobody's typing error
constexpr std::size_t suggestions = 3;

std::string lowered(std::string_view text)
{
    std::string result(text.substr(0, maximumLength));
    std::ranges::transform(
        result, result.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return result;
}

} // namespace

std::size_t editDistance(std::string_view a, std::string_view b)
{
    std::vector<std::size_t> twoBack(b.size() + 1);
    std::vector<std::size_t> previous(b.size() + 1);
    std::vector<std::size_t> current(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        previous[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        current[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                current[j] = std::min(current[j], twoBack[j - 2] + 1);
        }
        twoBack.swap(previous);
        previous.swap(current);
    }
    return previous[b.size()];
}

std::vector<std::string> nearestNames(std::string_view name, std::span<const std::string> names)
{
    struct Candidate {
        std::size_t distance;
        std::string name;
    };
    const std::string wanted = lowered(name);
    std::vector<Candidate> candidates;
    for (const std::string& known : names) {
        const std::string other = lowered(known);
        const std::size_t distance = editDistance(wanted, other);
        const bool part = wanted.size() >= 2 && (other.starts_with(wanted) || other.ends_with(wanted));
        if (part || distance <= std::max<std::size_t>(1, std::max(wanted.size(), other.size()) / 3))
            candidates.push_back({part ? 0 : distance, known});
    }
    std::ranges::stable_sort(candidates, {}, &Candidate::distance);
    std::vector<std::string> result;
    for (std::size_t i = 0; i < std::min(candidates.size(), suggestions); ++i)
        result.push_back(candidates[i].name);
    return result;
}

std::string didYouMean(std::string_view name, std::span<const std::string> names)
{
    const auto nearest = nearestNames(name, names);
    return nearest.empty() ? "" : fmt::format(" (did you mean {}?)", fmt::join(nearest, " or "));
}

std::string shownName(std::string_view name)
{
    std::string shown;
    for (const char c : name.substr(0, 40))
        shown += c >= 0x20 && c < 0x7f ? c : '?';
    return name.size() > 40 ? shown + "..." : shown;
}

} // namespace kvloupe
