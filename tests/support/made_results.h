// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/results/run_header.h"

#include <string>
#include <vector>

namespace kvloupe {

/// A run of a model that does not exist: the full cache, then snapkv and h2o at 0.3 and 0.1.
RunHeader madeHeader();

/// A row of `header`'s branch for sample "ar-`sample`", right, with made-up measurements that depend on both.
ResultRow madeRow(const RunHeader& header, std::size_t branch, int sample);

/// All branches of a sample.
std::vector<ResultRow> madeSample(const RunHeader& header, int sample);

/// The row without an outcome, skipped for `reason`.
ResultRow skippedRow(ResultRow row, std::string reason);

} // namespace kvloupe
