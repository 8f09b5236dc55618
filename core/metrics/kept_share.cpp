// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/kept_share.h"

#include <algorithm>

namespace kvloupe {

namespace {

/// Kept positions in [begin, end).
std::int64_t countKept(std::span<const std::int32_t> kept, std::int64_t begin, std::int64_t end)
{
    const auto first = std::ranges::lower_bound(kept, begin);
    return std::distance(first, std::lower_bound(first, kept.end(), end));
}

} // namespace

double KeptShare::fraction() const
{
    return static_cast<double>(kept) / static_cast<double>(tokens);
}

std::vector<KeptShare> keptByRegion(std::span<const std::int32_t> kept, TokenRange cache, const TokenRegions& regions)
{
    std::vector<KeptShare> shares;
    for (const std::int64_t tokens : regions.countWithin(cache.begin, cache.end))
        shares.push_back({tokens, 0});
    for (const std::int32_t position : kept)
        if (position >= cache.begin && position < cache.end)
            ++shares[static_cast<std::size_t>(regions.at(position))].kept;
    return shares;
}

std::vector<KeptShare> keptByPosition(std::span<const std::int32_t> kept, TokenRange cache, int bins)
{
    std::vector<KeptShare> shares;
    for (int bin = 0; bin < bins; ++bin) {
        const std::int64_t begin = cache.begin + bin * cache.size() / bins;
        const std::int64_t end = cache.begin + (bin + 1) * cache.size() / bins;
        shares.push_back({end - begin, countKept(kept, begin, end)});
    }
    return shares;
}

std::vector<KeptShare> keptByShot(
    std::span<const std::int32_t> kept, TokenRange cache, std::span<const TokenRange> shots)
{
    std::vector<KeptShare> shares;
    for (const TokenRange& shot : shots) {
        const std::int64_t begin = std::max(shot.begin, cache.begin);
        const std::int64_t end = std::max(begin, std::min(shot.end, cache.end));
        shares.push_back({end - begin, countKept(kept, begin, end)});
    }
    return shares;
}

ShotCounts shotCounts(std::span<const std::int32_t> kept, TokenRange cache, std::span<const TokenRange> shots)
{
    ShotCounts counts;
    for (const KeptShare& share : keptByShot(kept, cache, shots))
        if (share.tokens > 0)
            ++(share.kept == 0 ? counts.dropped : share.kept == share.tokens ? counts.whole : counts.broken);
    return counts;
}

} // namespace kvloupe
