// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kvloupe {

/// What `kvloupe analyze` can measure (docs/measures.md).
enum class Metric {
    Sparsity,
    SparsityRows,
    SpanMass,
    Cumulative,
    Concentration,
    RetainedMass,
    RepresentationError,
    KeptSpans,
    BrokenShots,
    GlobalEviction,
    PositionBias,
    MethodOverlap,
    LayerOverlap,
    HeadOverlap,
    OracleOverlap,
};

/// A column of a metric's table: a key says what was measured, any other is a measure with its unit in its name.
struct MetricColumn {
    std::string name;
    bool isKey = false;
};

struct MetricInfo {
    Metric metric = Metric::Sparsity;
    std::string name; ///< "span_mass"
    std::string summary; ///< one sentence
    bool needsMethods = false; ///< measured per method and budget
    bool sharesOfOne = false; ///< spans share out one whole: those of shots add up, one that is not there has 0
    std::vector<MetricColumn> columns; ///< recording, sample, id, method ..., layer, head, ..., then measures
};

/// Every metric, in the order of docs/measures.md.
std::span<const MetricInfo> metricCatalog();
const MetricInfo& metricInfo(Metric metric);
/// Throws Error with the nearest names for an unknown one.
const MetricInfo& findMetric(std::string_view name);

/// One value of a table; monostate and NaN are empty cells.
using MeasureCell = std::variant<std::monostate, std::int64_t, double, std::string>;

/// One line of a metric's table, a cell per column.
struct MeasureRow {
    const MetricInfo* metric = nullptr;
    std::vector<MeasureCell> cells;
};

} // namespace kvloupe
