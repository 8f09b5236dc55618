// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>

namespace kvloupe::cuda {

/// What the attention kernel pools cells by, 1, 2, 4 or 16, so that every coarser level can be made of it.
constexpr int poolFactorFor(std::int64_t finestLevel)
{
    if (finestLevel >= 16)
        return 16;
    return finestLevel >= 4 ? 4 : static_cast<int>(finestLevel);
}

} // namespace kvloupe::cuda
