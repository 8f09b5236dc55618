// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/metrics/bootstrap.h"
#include "core/metrics/metric_catalog.h"
#include "core/recording/recording.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace kvloupe {

/// Samples of two recordings that hold the same question: {sample of first, sample of second}, by `pair_id` and, where
/// one occurs more than once, in their order.
///
/// Throws Error when there is none, or when the models do not have the same layers and heads.
std::vector<std::pair<int, int>> pairedSamples(const Recording& first, const Recording& second);

/// The same measures of two recordings side by side, with their difference and bootstrap intervals (95 %).
///
/// What is compared is a measure under its keys without recording, sample and head; tokens are aligned by span kind,
/// the shots of span_mass together. Units are samples, and within them heads; those that only one side has are left
/// out, but a span that one prompt lacks has a mass of 0. The interval of the difference is that of second - first,
/// head by head. Beside every layer stands one row without a layer, over the heads of all layers.
class PairComparison {
public:
    /// `metrics`: what rows come of. Throws Error for sparsity_rows, whose queries are not the same on both sides.
    explicit PairComparison(std::span<const Metric> metrics);
    ~PairComparison();

    enum class Side { First, Second };
    /// A row of pair number `pair`.
    void add(Side side, int pair, const MeasureRow& row);

    /// Tables of the comparison: one per metric, of the same name, with the columns measure, the keys, samples_count,
    /// heads_count, and mean, low and high of first, second and difference in the unit that `measure` names.
    std::vector<const MetricInfo*> tables() const;
    void write(const BootstrapOptions& options, const std::function<void(const MeasureRow&)>& sink) const;

private:
    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace kvloupe
