// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/metrics/bootstrap.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// What is measured per layer and head: a mean over the queries of the prompt (docs/measures.md, sparsity).
enum class SparsityMeasure { Entropy, EffectiveKeys, Gini, Top1, Top8, Top64, Sink, RowMax };
inline constexpr std::array allSparsityMeasures{SparsityMeasure::Entropy, SparsityMeasure::EffectiveKeys,
    SparsityMeasure::Gini, SparsityMeasure::Top1, SparsityMeasure::Top8, SparsityMeasure::Top64, SparsityMeasure::Sink,
    SparsityMeasure::RowMax};

/// Column of the table that `kvloupe analyze --metric sparsity` prints: "entropy_nats".
std::string_view sparsityColumn(SparsityMeasure measure);
/// Name on the command line: "entropy", "effective-keys", "gini", "top-1", "top-8", "top-64", "sink", "row-max".
std::string_view sparsityMeasureName(SparsityMeasure measure);
std::optional<SparsityMeasure> sparsityMeasureFromName(std::string_view name);

/// Recordings to measure: each on its own, or two against each other.
struct SparsityRequest {
    std::vector<std::filesystem::path> recordings;
    std::optional<std::string> sample; ///< number or id in the first recording; nothing = all samples

    bool operator==(const SparsityRequest&) const = default;
};

/// A curve with its interval, one value per place.
using Band = std::vector<BootstrapMean>;

/// Measures of recordings, ready to be shown; never changed, shared between threads.
struct SparsityData {
    struct Side {
        std::filesystem::path path;
        std::string uuid;
        std::string model;
        std::string label; ///< what tells it from the others: role, model or file name
        int samples = 0;
        std::vector<int> layers; ///< recorded, ascending
        int heads = 0;
        std::array<std::vector<double>, allSparsityMeasures.size()> maps; ///< [layers, heads], means over samples
        std::array<Band, allSparsityMeasures.size()> byLayer; ///< [layers], over the heads of samples
        std::array<Band, 2> cumulative; ///< [shares]: of all tokens, and without the first four
        std::vector<Band> spanMass; ///< [spans][layers], attention of the prompt's queries, of 1
    };

    std::vector<Side> sides;
    std::vector<double> shares; ///< of tokens, at which the cumulative curves are known, ascending in (0, 1]
    std::vector<std::string> spans; ///< kinds of spans that any prompt has, in the order they are shown
    int pairs = 0; ///< samples that were compared in pairs, 0 = sides stand side by side only
    std::array<Band, allSparsityMeasures.size()> difference; ///< second - first by layer, of pairs only
    std::array<Band, 2> cumulativeDifference;
    std::vector<Band>
        spanDifference; ///< [spans][layers]; spans are aligned by kind, whatever the templates around them
    std::string remark; ///< why there is no comparison in pairs; empty without two sides, or when there is one

    /// Whether cells of two sides are the same layers and heads.
    bool sameShape() const;
};

/// Measures the recordings, with intervals over samples and heads (percentile bootstrap, 95 %, seed 0). `progress` gets
/// fractions and returns false to stop; nothing is returned then. Opens recordings of its own: any thread. Throws
/// RecordingError where one cannot be read or lacks what a measure needs, and Error for a sample that it does not have.
std::shared_ptr<const SparsityData> measureSparsity(
    const SparsityRequest& request, const std::function<bool(double)>& progress);

} // namespace kvloupe
