// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QColor>
#include <QString>

#include <cstdint>
#include <vector>

namespace kvloupe {

/// What one method keeps of the head on show: a strip over the map, and shading of the dropped columns.
struct KeepOverlay {
    QString name;
    QColor color;
    std::vector<std::int32_t> kept; ///< kept positions, ascending, within the prompt
    bool shadeMap = false; ///< dropped columns are dimmed and hatched on the map as well
};

} // namespace kvloupe
