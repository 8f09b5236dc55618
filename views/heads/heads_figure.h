// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/replay_spec.h"

namespace kvloupe {

/// The attention maps of all layers and heads as thumbnails, of one layer if `spec` has one. Throws FigureError.
std::shared_ptr<const PanelData> readHeads(const Recording& recording, const ReplaySpec& spec);

} // namespace kvloupe
