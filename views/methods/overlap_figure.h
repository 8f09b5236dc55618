// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/replay_spec.h"

namespace kvloupe {

/// The Jaccard overlap of every pair of methods as coloured cells with their numbers. Throws FigureError for fewer than
/// two methods.
std::shared_ptr<const PanelData> readOverlap(const Recording& recording, const ReplaySpec& spec);

} // namespace kvloupe
