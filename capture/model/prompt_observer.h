// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/model/attention_observer.h"

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Sees the one prefill of a whole prompt, and may let tokens leave on the way. What it says of its wishes spares a
/// device, from which rows have to be fetched, the work for the rest; the CPU computes all rows in any case.
class PromptObserver : public AttentionObserver {
public:
    /// Rows of `entering` that enter a layer: those before this one need not be shown.
    virtual std::int64_t firstRowWanted(std::int64_t entering) const = 0;
    /// Column sums of all rows, [heads, tokens], may be given before endLayer() instead of showing the rows for them.
    virtual bool wantsColumnSums() const { return false; }
    virtual void columnSums(int /*layer*/, std::span<const float> /*sums*/) { }

    /// After endLayer(): the rows that go on to the next layer, ascending; empty = all of them.
    virtual std::vector<std::int64_t> survivors(int /*layer*/) { return {}; }
};

} // namespace kvloupe
