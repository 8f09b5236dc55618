// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/head_votes.h"

namespace kvloupe {

double HeadVotes::share(std::int64_t token) const
{
    if (heads == 0 || token < 0 || static_cast<std::size_t>(token) >= counts.size())
        return 0.0;
    return static_cast<double>(counts[static_cast<std::size_t>(token)]) / heads;
}

HeadVotes countVotes(std::span<const KeepSet> layers, std::int64_t promptTokens)
{
    HeadVotes votes;
    votes.counts.assign(static_cast<std::size_t>(promptTokens), 0);
    for (const KeepSet& layer : layers) {
        for (const std::vector<std::int32_t>& set : layer.sets) {
            ++votes.heads;
            for (const std::int32_t position : set) {
                if (position >= 0 && position < promptTokens)
                    ++votes.counts[static_cast<std::size_t>(position)];
            }
        }
    }
    return votes;
}

} // namespace kvloupe
