// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/panel.h"

#include <memory>
#include <string>
#include <vector>

namespace kvloupe {

class SpecFields;

/// Names of all figures that can be panels: "attention", "accuracy", ...
std::vector<std::string> panelNames();

/// The figure that fields describe, by their field "figure"; unknown fields are left to the caller. Throws FigureError.
std::shared_ptr<const PanelSpec> panelFromFields(SpecFields& fields);

} // namespace kvloupe
