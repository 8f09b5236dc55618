// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

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
    bool exact = false; ///< float32 of this very cell, not pooled or rounded to half
    QString pooling; ///< "max of 8 x 8", empty without
    std::vector<std::pair<QString, bool>> methods; ///< name, whether it keeps the key
};

/// `layer 12 head 7 | q 4081 "therefore" | k 3 "<s>" | a = 0.6132 | max of 8 x 8 | SnapKV keep, H2O drop`
QString statusText(const CellStatus& status, const TokenText& text);

} // namespace kvloupe
