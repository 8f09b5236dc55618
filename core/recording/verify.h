// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/recording.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace kvloupe {

struct VerifyOptions {
    bool checksums = true; ///< every chunk of the file; the rest reads a small part of it
    std::int64_t rowsPerHead = 8; ///< prompt rows looked at per head, the first and the last among them
};

struct VerifyReport {
    std::int64_t samples = 0;
    std::int64_t rowsChecked = 0; ///< recomputed from queries and keys, or read from maps
    std::int64_t cellsChecked = 0;
    bool complete = false; ///< false if `progress` stopped it
    /// One line each, naming file, sample, layer, head, row or chunk, found and expected.
    std::vector<std::string> problems;
};

/// Checks that a recording is whole and that what it holds agrees with itself: checksums of all chunks; spans and
/// offsets in range; rows of maps sum to 1 within the rounding of their cells, with nothing outside the causal window;
/// maps, log-sum-exp, entropy, largest probability and sink mass agree with rows recomputed from queries and keys;
/// column sums add up to the number of queries; norms agree with keys and values; every pyramid maximum is the maximum
/// of the level below. `progress` gets fractions and returns false to stop.
VerifyReport verifyRecording(
    const Recording& recording, const VerifyOptions& options, const std::function<bool(double)>& progress = {});

} // namespace kvloupe
