// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/ranking.h"

namespace kvloupe {

std::string_view guardName(Guard guard)
{
    switch (guard) {
    case Guard::None:
        return "none";
    case Guard::Sink:
        return "sink";
    case Guard::Recent:
        return "recent";
    case Guard::Window:
        return "window";
    case Guard::OutsideShots:
        return "outside_shots";
    case Guard::HeadMinimum:
        return "head_minimum";
    case Guard::FirstStage:
        return "first_stage";
    case Guard::Prompt:
        return "prompt";
    case Guard::Layer:
        return "layer";
    case Guard::Given:
        return "given";
    }
    return "";
}

} // namespace kvloupe
