// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/missed_attention.h"

#include <algorithm>

namespace kvloupe {

MissedAttention missedAttention(
    const HeadTimeline& timeline, std::int64_t promptTokens, std::int64_t steps, int head, DecodeRowSource& rows)
{
    const auto tokens = static_cast<std::size_t>(promptTokens + steps);
    MissedAttention missed;
    missed.wantedAt.assign(tokens, 0);
    missed.wantedMass.assign(tokens, 0.0F);
    missed.lostMass.assign(static_cast<std::size_t>(steps), 0.0F);
    for (std::int64_t step = 0; step < steps; ++step) {
        const std::span<const float> row = rows.row(head, step);
        double lost = 0.0;
        for (std::size_t position = 0; position < row.size(); ++position) {
            const std::int32_t left = timeline.evictedAt[position];
            if (left < 0 || left > step)
                continue;
            lost += static_cast<double>(row[position]);
            if (missed.wantedAt[position] == 0 || row[position] > missed.wantedMass[position]) {
                missed.wantedAt[position] = static_cast<std::int32_t>(step + 1);
                missed.wantedMass[position] = row[position];
            }
        }
        if (!timeline.visible.empty()) {
            // Positions between the visible ranges that are in the cache are hidden.
            std::size_t next = 0;
            const auto addHidden = [&](std::size_t end) {
                for (; next < end; ++next)
                    if (const std::int32_t left = timeline.evictedAt[next]; left < 0 || left > step)
                        lost += static_cast<double>(row[next]);
            };
            for (const TokenRange& range : timeline.visible[static_cast<std::size_t>(step)]) {
                addHidden(std::min(row.size(), static_cast<std::size_t>(range.begin)));
                next = static_cast<std::size_t>(range.end);
            }
            addHidden(row.size());
        }
        missed.lostMass[static_cast<std::size_t>(step)] = static_cast<float>(std::clamp(lost, 0.0, 1.0));
    }
    return missed;
}

} // namespace kvloupe
