// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/metrics/metric_catalog.h"

#include <span>
#include <string>
#include <vector>

namespace kvloupe {

/// Tables of one or more metrics as one CSV: the column `metric`, then the columns of all of them, each once; cells
/// that a metric does not have are empty. Numbers are the shortest decimals of the nearest float32.
class MeasureCsv {
public:
    /// Those that rows will come from; they outlive this object.
    explicit MeasureCsv(std::span<const MetricInfo* const> metrics);

    std::string header() const; ///< with its line break
    std::string line(const MeasureRow& row) const; ///< with its line break

private:
    std::vector<std::string> m_columns;
    std::vector<std::pair<const MetricInfo*, std::vector<std::size_t>>> m_places; ///< of a metric's cells
};

/// One JSON object on one line with its line break: "metric", then the columns. Empty cells and what JSON has no number
/// for are null.
std::string measureJson(const MeasureRow& row);

/// A cell as the CSV has it, without quotes.
std::string measureText(const MeasureCell& cell);

} // namespace kvloupe
