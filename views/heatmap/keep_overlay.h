// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QColor>
#include <QString>

#include <cstdint>
#include <limits>
#include <vector>

namespace kvloupe {

/// What one method keeps of the head on show: a strip over the map, and shading of the dropped columns.
struct KeepOverlay {
    QString name;
    QColor color;
    std::vector<std::int32_t> kept; ///< kept positions, ascending
    bool shadeMap = false; ///< dropped columns are dimmed and hatched on the map as well
    /// How many tokens there were by then: later ones are neither kept nor dropped.
    std::int64_t tokens = std::numeric_limits<std::int64_t>::max();
};

} // namespace kvloupe
