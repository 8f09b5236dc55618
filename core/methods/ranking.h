// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/keep_set.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace kvloupe {

/// What takes a token before anything is ranked.
enum class Guard : std::uint8_t {
    None, ///< it was ranked
    Sink, ///< among the first tokens
    Recent, ///< among the newest tokens
    Window, ///< in the observation window, whose queries do the scoring
    OutsideShots, ///< instruction, question and everything else that is no few-shot example
    HeadMinimum, ///< best of its head, safe whatever other heads claim (AdaKV)
    FirstStage, ///< taken by the inner scores before the second stage (CriticalKV)
    Prompt, ///< a prompt token of a method that evicts generated tokens only
    Layer, ///< the whole layer is exempt
    Given, ///< kept sets that another program wrote
};
std::string_view guardName(Guard guard); ///< "none", "sink", "recent", "window", "outside_shots", ...

/// What the tokens of one set were ranked by: a token's own score, or that of its chunk or shot.
struct SetRanking {
    std::vector<float> scores; ///< [T], NaN = never ranked; empty = the method ranks nothing
    std::vector<Guard> guards; ///< [T]
};

/// Why a layer kept what it kept, beside the kept sets themselves.
struct LayerRanking {
    std::vector<SetRanking> sets; ///< as in the KeepSet
    bool joint = false; ///< all sets of the layer were ranked together (AdaKV)
};

} // namespace kvloupe
