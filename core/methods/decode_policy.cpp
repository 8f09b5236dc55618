// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/decode_policy.h"

#include "core/methods/chooser.h"

#include <algorithm>
#include <limits>

namespace kvloupe {

std::int64_t heldCapacity(std::int64_t realised, const Budget& budget)
{
    if (budget.kind() != BudgetKind::Capacity)
        return realised;
    return std::max(realised, budget.tokensKept(std::numeric_limits<std::int64_t>::max()));
}

std::vector<std::int32_t> evictedPositions(
    std::span<const std::int32_t> alive, std::span<const std::int32_t> keptIndices)
{
    std::vector<std::int32_t> evicted;
    evicted.reserve(alive.size() - keptIndices.size());
    auto next = keptIndices.begin();
    for (std::size_t index = 0; index < alive.size(); ++index) {
        if (next != keptIndices.end() && static_cast<std::size_t>(*next) == index)
            ++next;
        else
            evicted.push_back(alive[index]);
    }
    return evicted;
}

DecodeVerdict cutToBest(
    std::span<const std::int32_t> alive, std::span<const float> scores, std::int64_t count, std::int64_t recent)
{
    DecodeVerdict verdict;
    verdict.evicted = evictedPositions(alive, selectTop(scores, count, {0, recent}));
    verdict.scores.assign(scores.begin(), scores.end());
    verdict.guards.assign(scores.size(), Guard::None);
    const std::size_t guarded = std::min(static_cast<std::size_t>(recent), scores.size());
    std::fill(verdict.scores.end() - static_cast<std::ptrdiff_t>(guarded), verdict.scores.end(),
        std::numeric_limits<float>::quiet_NaN());
    std::fill(verdict.guards.end() - static_cast<std::ptrdiff_t>(guarded), verdict.guards.end(), Guard::Recent);
    return verdict;
}

} // namespace kvloupe
