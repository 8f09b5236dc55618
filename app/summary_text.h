// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <string>

namespace kvloupe {

struct Summary;

/// A summary for a terminal: what all rows share, the table, what its columns mean. One line without any rows.
std::string summaryText(const Summary& summary);

} // namespace kvloupe
