// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/replay_spec.h"

namespace kvloupe {

/// The prompt from left to right: its shots, and a strip for every method that is the darker the more heads keep a
/// token, with the share of every shot that is kept. Throws FigureError without methods or shots.
std::shared_ptr<const PanelData> readShots(const Recording& recording, const ReplaySpec& spec);

} // namespace kvloupe
