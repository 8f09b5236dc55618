// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/metrics/metric_catalog.h"

#include <memory>
#include <vector>

namespace kvloupe {

/// Tables short enough for people: rows that differ in their heads alone become one row, the mean over the heads.
class HeadMeans {
public:
    /// With `perHead`, heads stay apart and the tables hold the rows as they came.
    explicit HeadMeans(bool perHead = false);
    ~HeadMeans();

    void add(const MeasureRow& row);

    struct Table {
        const MetricInfo* metric = nullptr;
        std::vector<MetricColumn> columns; ///< of the metric, without the heads
        std::vector<std::vector<MeasureCell>> rows; ///< in the order in which their first row came
    };
    /// One per metric that rows came of, in the order of the catalog. Means leave empty cells out.
    std::vector<Table> tables() const;

private:
    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace kvloupe
