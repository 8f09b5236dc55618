// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/replay_spec.h"

namespace kvloupe {

/// Birth to death of every token in the cache of one head under one method, and what each generated token missed.
/// Throws FigureError without exactly one method, a layer and a head.
std::shared_ptr<const PanelData> readTimeline(const Recording& recording, const ReplaySpec& spec);

} // namespace kvloupe
