// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace kvloupe {

/// At which level one set of kept tokens holds: for a whole layer, a KV head, or a query head (analysis only: a cache
/// with grouped queries cannot hold it).
enum class Granularity { Layer, KvHead, QueryHead };
std::string_view granularityName(Granularity granularity); ///< "layer", "kv_head", "q_head"

/// Kept positions of one layer. `sets` has one entry per KV head (also for Granularity::Layer, where all are equal) or
/// per query head for Granularity::QueryHead; positions ascend and are unique.
struct KeepSet {
    Granularity granularity = Granularity::KvHead;
    std::vector<std::vector<std::int32_t>> sets;

    std::int64_t largestSet() const; ///< tokens, 0 without sets
    bool operator==(const KeepSet&) const = default;
};

/// One decision for a whole layer, repeated for each of its KV heads.
KeepSet layerKeepSet(std::vector<std::int32_t> kept, int kvHeads);

} // namespace kvloupe
