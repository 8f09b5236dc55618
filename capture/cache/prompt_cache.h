// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/token_store.h"

#include <cstdint>
#include <memory>
#include <span>

namespace kvloupe {

/// Keys and values of a whole prompt, where a model computes: what branches are cut from.
class PromptCache {
public:
    virtual ~PromptCache() = default;

    /// Positions in the text of the tokens that entered a layer, ascending.
    virtual std::span<const std::int64_t> positions(int layer) const = 0;

    struct Selection {
        int layer = 0;
        int kvHead = 0;
        std::span<const std::int64_t> entries; ///< indices into positions(), ascending
        std::span<const std::int64_t> shifts = {}; ///< [entries] positions that keys are turned by; empty = none
        std::span<const float> frequencies = {}; ///< of RoPE, radians per position; empty = keys are never turned
        bool keyRows = false; ///< see TokenStore::keyRows
    };
    /// Copies tokens to the slots 0, 1, ...
    virtual std::unique_ptr<TokenStore> gather(const Selection& selection) const = 0;
};

} // namespace kvloupe
