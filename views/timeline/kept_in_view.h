// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/view_models.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace kvloupe {

class TimelineModel;

/// What a method holds of the head in view.
struct KeptInView {
    std::vector<std::int32_t> positions; ///< ascending
    std::int64_t tokens = 0; ///< how many tokens there were by then
    std::int64_t step = 0; ///< as of this generated token; 0 = after the prompt
};

/// At the step in view where the life of the tokens is known, which it is for the method in front; else after the
/// prompt. Nothing while the method in `row` is not scored. `timeline` may be null.
std::optional<KeptInView> keptInView(const ViewModels& models, const TimelineModel* timeline, int row);

} // namespace kvloupe
