// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/replay_spec.h"

namespace kvloupe {

/// The prompt as it reads under one method: the paler the fewer heads keep a token, underlined in proportion to their
/// votes, struck through where no head keeps it. Throws FigureError without exactly one method.
std::shared_ptr<const PanelData> readText(const Recording& recording, const ReplaySpec& spec);

} // namespace kvloupe
