// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/replay/cell_facts.h"
#include "views/tokens/token_text.h"

#include <QString>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace kvloupe {

/// What the status line says about the cell in view.
struct CellStatus {
    int layer = -1;
    int head = -1;
    std::int64_t query = -1;
    std::int64_t key = -1;
    std::optional<float> value;
    bool isDifference = false; ///< `value` is that of two maps, A - B
    bool exact = false; ///< float32 of this very cell, not pooled or rounded to half
    CellFacts facts; ///< rank and block, once they are known
    QString pooling; ///< "max of 8 x 8", empty without
    bool pinned = false; ///< the mouse does not move the cell
    std::vector<std::pair<QString, bool>> methods; ///< name, whether it keeps the key
};

/// `layer 12 head 7 | q 4081 "therefore" | k 3 "<s>" | a = 0.6132 | rank 1 of 4,082 in its row | max of 8 x 8: max
/// 0.6132, mean 0.0103, min 2e-08 | SnapKV keeps, H2O drops`
QString statusText(const CellStatus& status, const TokenText& text);

} // namespace kvloupe
