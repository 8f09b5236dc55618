// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/chunk_codec.h"
#include "core/recording/recording_types.h"

#include <cstdint>
#include <filesystem>

namespace kvloupe {

/// A recording without a model: random queries and keys that attend as models do.
struct SyntheticRecording {
    int layers = 2;
    int heads = 4;
    int kvHeads = 2;
    int headDim = 64; ///< even
    std::int64_t promptTokens = 512;
    std::int64_t generatedTokens = 0;
    RecordKind kind = RecordKind::Full;
    Compression compression = Compression::Fast;
    std::uint64_t seed = 1;
    int samples = 1;
    bool shots = true; ///< "Question: ... Answer: ..." text with spans, else one instruction
    std::int64_t window = 0; ///< sliding window of every layer, 0 = global
    bool outputNorms = false; ///< 1-norms of W_o,h v for a diagonal W_o,h that differs by head
    bool merge = true; ///< false leaves the folder of parts
};

/// Writes `path`, over whatever is there. Heads have a sink on the first tokens, a local band that decays as RoPE lets
/// it, and a few heavy hitters, in proportions that differ by layer and head. Everything stored is what the recorder
/// makes of those queries and keys, so the parts of the file agree as those of a real one do. The same options give the
/// same numbers. Memory: queries, keys and values of one layer, 256 rows per thread.
void makeRecording(const std::filesystem::path& path, const SyntheticRecording& options);

} // namespace kvloupe
