// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/pooling.h"

#include <algorithm>
#include <cstdint>

namespace kvloupe {

void poolTokens(std::span<const double> in, int kernel, TokenPooling pooling, std::span<double> out)
{
    const auto size = static_cast<std::int64_t>(in.size());
    std::ranges::copy(in, out.begin());
    // One shifted pass per offset runs over contiguous memory and vectorises, unlike a window around every token.
    for (std::int64_t offset = 1; offset <= std::min<std::int64_t>(kernel / 2, size - 1); ++offset) {
        const auto shorter = static_cast<std::size_t>(size - offset);
        const double* const early = in.data();
        const double* const late = in.data() + offset;
        double* const earlyOut = out.data();
        double* const lateOut = out.data() + offset;
        if (pooling == TokenPooling::Maximum) {
            for (std::size_t i = 0; i < shorter; ++i)
                earlyOut[i] = std::max(earlyOut[i], late[i]);
            for (std::size_t i = 0; i < shorter; ++i)
                lateOut[i] = std::max(lateOut[i], early[i]);
        } else {
            for (std::size_t i = 0; i < shorter; ++i)
                earlyOut[i] += late[i];
            for (std::size_t i = 0; i < shorter; ++i)
                lateOut[i] += early[i];
        }
    }
}

} // namespace kvloupe
