// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/timeline/kept_in_view.h"

#include "views/methods/replay_model.h"
#include "views/timeline/timeline_model.h"

#include <algorithm>

namespace kvloupe {

std::optional<KeptInView> keptInView(const ViewModels& models, const TimelineModel* timeline, int row)
{
    const int layer = models.selection->layer();
    const int head = models.selection->head();
    const auto positions = models.replay->keptPositions(row, layer, head);
    if (!positions)
        return std::nullopt;
    const HeadLife* life = timeline ? timeline->life() : nullptr;
    const bool isLifeOfRow = life && row == models.methods->current() && life->sample == models.replay->sample()
        && life->layer == layer && life->head == head
        && life->method == models.methods->entries()[static_cast<std::size_t>(row)].title;
    const std::int64_t step = isLifeOfRow ? std::min(models.selection->step(), life->steps) : 0;
    if (step > 0)
        return KeptInView{life->aliveAfter(step), life->promptTokens + step, step};
    return KeptInView{{positions->begin(), positions->end()}, models.replay->promptTokens(), 0};
}

} // namespace kvloupe
