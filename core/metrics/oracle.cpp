// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/oracle.h"

#include "core/methods/chooser.h"

namespace kvloupe {

std::vector<std::vector<float>> futureMassOfSets(
    std::span<const float> future, int queryHeads, std::int64_t tokens, const KeepSet& like)
{
    const auto sets = static_cast<int>(like.sets.size());
    const bool shared = like.granularity == Granularity::Layer;
    const int headsPerSet = shared ? queryHeads : queryHeads / sets;
    std::vector<std::vector<float>> result;
    for (int set = 0; set < sets; ++set) {
        if (shared && set > 0) {
            result.push_back(result.front());
            continue;
        }
        std::vector<float> mass(static_cast<std::size_t>(tokens));
        for (std::size_t token = 0; token < mass.size(); ++token) {
            double sum = 0.0;
            for (int head = set * headsPerSet; head < (set + 1) * headsPerSet; ++head)
                sum += static_cast<double>(future[static_cast<std::size_t>(head * tokens) + token]);
            mass[token] = static_cast<float>(sum);
        }
        result.push_back(std::move(mass));
    }
    return result;
}

KeepSet oracleKeepSet(std::span<const std::vector<float>> mass, std::int64_t firstPosition, const KeepSet& like)
{
    KeepSet oracle{like.granularity, {}};
    for (std::size_t set = 0; set < like.sets.size(); ++set) {
        auto kept = selectTop(mass[set], std::ssize(like.sets[set]), Protection{});
        for (std::int32_t& position : kept)
            position += static_cast<std::int32_t>(firstPosition);
        oracle.sets.push_back(std::move(kept));
    }
    return oracle;
}

} // namespace kvloupe
