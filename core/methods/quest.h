// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/decode_policy.h"
#include "core/methods/method_registry.h"

#include <cstdint>
#include <vector>

namespace kvloupe {

/// Evicts nothing, but each query sees only the pages of the cache that may matter to it. A page holds the channel-wise
/// minimum and maximum of its post-RoPE keys; its score is the largest product that a key within these bounds could
/// have with the query, sum over channels of max(q * minimum, q * maximum). Tang et al. 2024, arXiv 2406.10774,
/// section 3.2. A step costs O(pages x head_dim).
class PageSelection final : public DecodePolicy {
public:
    struct Parameters {
        std::int64_t pageTokens = 16;
        std::int64_t fewestPages = 3;
        int denseLayers = 2; ///< first layers that see everything
        Granularity level = Granularity::QueryHead; ///< KvHead: by the maximum over the query heads
    };

    explicit PageSelection(Parameters parameters);

    std::unique_ptr<DecodePolicy> clone() const override;
    Granularity granularity() const override { return m_parameters.level; }
    DecodeNeeds needs() const override;
    std::vector<std::int32_t> begin(const DecodeStart& start) override;
    std::vector<std::int32_t> hideBefore(const DecodeStep& step) override;
    DecodeVerdict step(const DecodeStep& step) override;

private:
    void add(std::int64_t position, std::span<const float> key);
    std::size_t pageOf(std::int64_t position) const;
    void scorePages(std::span<const float> query);

    Parameters m_parameters;
    bool m_dense = false;
    std::int64_t m_visiblePages = 0;
    std::int64_t m_firstPage = 0;
    std::size_t m_dim = 0;
    std::vector<float> m_low; ///< [pages, dim]
    std::vector<float> m_high; ///< [pages, dim]
    std::vector<float> m_scores; ///< [pages] for the query of the step
};

MethodInfo questMethod();

} // namespace kvloupe
