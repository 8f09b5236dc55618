// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/oracle.h"

#include "core/methods/chooser.h"
#include "core/replay/cache_timeline.h"

#include <tbb/parallel_for.h>

#include <algorithm>

namespace kvloupe {

std::vector<float> attentionFromGenerated(
    DecodeRowSource& rows, std::int64_t steps, std::int64_t tokens, const GeneratedRowVisitor& visit)
{
    const int queryHeads = rows.queryHeads();
    std::vector<double> received(static_cast<std::size_t>(queryHeads * tokens), 0.0);
    for (std::int64_t step = 0; step < steps; ++step) {
        rows.row(0, step); // computes the block of steps, for all heads in parallel
        tbb::parallel_for(0, queryHeads, [&](int head) {
            const std::span<const float> row = rows.row(head, step);
            double* sum = received.data() + static_cast<std::size_t>(head * tokens);
            const std::size_t seen = std::min(row.size(), static_cast<std::size_t>(tokens));
            for (std::size_t position = 0; position < seen; ++position)
                sum[position] += static_cast<double>(row[position]);
            if (visit)
                visit(head, step, row);
        });
    }
    return {received.begin(), received.end()};
}

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
