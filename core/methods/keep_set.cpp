// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/keep_set.h"

#include <algorithm>
#include <cstddef>

namespace kvloupe {

std::string_view granularityName(Granularity granularity)
{
    switch (granularity) {
    case Granularity::Layer:
        return "layer";
    case Granularity::KvHead:
        return "kv_head";
    case Granularity::QueryHead:
        return "q_head";
    }
    return "";
}

std::int64_t KeepSet::largestSet() const
{
    std::size_t largest = 0;
    for (const auto& set : sets)
        largest = std::max(largest, set.size());
    return static_cast<std::int64_t>(largest);
}

KeepSet layerKeepSet(std::vector<std::int32_t> kept, int kvHeads)
{
    KeepSet keep{Granularity::Layer, {}};
    keep.sets.resize(static_cast<std::size_t>(kvHeads), kept);
    return keep;
}

} // namespace kvloupe
