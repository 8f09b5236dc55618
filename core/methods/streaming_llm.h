// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/chooser.h"
#include "core/methods/decode_policy.h"
#include "core/methods/method_registry.h"

namespace kvloupe {

/// Keeps the first `sinks` tokens and the most recent ones: two ranges, the same in every layer and head. The newest
/// token comes first, then the sinks, then the rest of the recent ones. Xiao et al. 2023, arXiv 2309.17453,
/// section 3.2.
class SinksAndRecent final : public Chooser {
public:
    SinksAndRecent(std::int64_t sinks, BudgetRule rounding);

    ChooserScope scope() const override { return ChooserScope::Head; }
    std::vector<KeepSet> choose(std::span<const Scores> scores, const ChoiceContext& context) const override;
    std::vector<LayerRanking> rank(std::span<const Scores> scores, const ChoiceContext& context) const override;

private:
    std::int64_t m_sinks;
    BudgetRule m_rounding;
};

/// The same rule after every generated token: once the cache holds more than the budget of the prompt, its two ends
/// stay.
class SlidingWindow final : public DecodePolicy {
public:
    explicit SlidingWindow(std::int64_t sinks);

    std::unique_ptr<DecodePolicy> clone() const override;
    Granularity granularity() const override { return Granularity::Layer; }
    DecodeNeeds needs() const override { return {}; }
    std::vector<std::int32_t> begin(const DecodeStart& start) override;
    DecodeVerdict step(const DecodeStep& step) override;

private:
    std::int64_t m_sinks;
    std::int64_t m_capacity = 0;
};

MethodInfo streamingLlmMethod();

} // namespace kvloupe
