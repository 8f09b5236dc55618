// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/chunk_codec.h"
#include "core/recording/half.h"
#include "core/recording/recording_types.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

/// Reads a recording: a finished file, a single part, or the folder of parts of one that is still growing.
///
/// Opening reads attributes only; arrays are read on demand, a chunk or a hyperslab at a time, never a whole map.
/// Nothing in the file is trusted: types, shapes and sizes are checked against the model's and the sample's attributes
/// before memory is taken; plug-ins are off; external links, external storage and virtual datasets are refused.
///
/// One object belongs to one thread at a time. HDF5 itself is guarded by one process-wide lock inside core/recording,
/// so several objects may live in several threads. Throws RecordingError naming file, object, found and expected.
class Recording {
public:
    static Recording open(const std::filesystem::path& path);
    ~Recording();
    Recording(Recording&&) noexcept;
    Recording& operator=(Recording&&) noexcept;

    const std::filesystem::path& path() const;
    const RecordingInfo& info() const;
    const ModelInfo& model() const;

    /// True while the recording is a folder of parts.
    bool isPartial() const;
    int sampleCount() const;
    const SampleInfo& sample(int sample) const;
    SampleText readText(int sample) const;
    std::vector<float> readLastLogits(int sample) const; ///< [vocab], empty if absent

    /// Layers that were recorded, ascending; empty for a sample without attention.
    std::vector<int> layers(int sample) const;
    const LayerInfo& layer(int sample, int layer) const;

    bool has(int sample, int layer, TokenArray array) const;
    /// The whole array, row-major [heads or kv_heads, T].
    std::vector<float> read(int sample, int layer, TokenArray array) const;
    /// Tokens [begin, end) of one head, row-major [end - begin, head_dim]; out has exactly that size.
    void readVectors(int sample, int layer, VectorArray array, int head, std::int64_t begin, std::int64_t end,
        std::span<float> out) const;
    /// Rows of the stored tail, [heads, tail_rows, T]; the newest prompt row last. Statistics recordings have it.
    std::vector<float> readTail(int sample, int layer) const;
    std::vector<float> readQueryMean(int sample, int layer) const; ///< [heads, head_dim], empty if absent
    std::vector<float> readQueryCovariance(
        int sample, int layer) const; ///< [heads, head_dim, head_dim], empty if absent

    /// Tile (rows 256 * tileRow ..., columns 256 * tileColumn ...) of the stored map of `head`, row-major 256 x 256,
    /// cells beyond the map 0. False if the chunk was never written (it is above the diagonal or outside the window):
    /// `out` is then all 0.
    bool readMapTile(
        int sample, int layer, int head, std::int64_t tileRow, std::int64_t tileColumn, std::span<Half> out) const;
    /// The same for a stored pyramid level; `factor` is one of LayerInfo::pyramidFactors.
    bool readPyramidTile(int sample, int layer, int head, int factor, Pooling pooling, std::int64_t tileRow,
        std::int64_t tileColumn, std::span<Half> out) const;
    /// All heads of the always-stored overview, [heads, edge, edge] with edge = overviewEdge(P).
    std::vector<Half> readOverview(int sample, int layer, Pooling pooling) const;
    /// Row of a generated token (index 0 = first generated), [T] values of `head`; empty if it was not recorded.
    std::vector<Half> readDecodeRow(int sample, int layer, int head, std::int64_t generatedIndex) const;

    /// Bytes stored for one named object below a layer ("attention", "queries", "pyramid", ...), for `info`.
    struct StoredBytes {
        std::string name;
        std::uint64_t bytes = 0;
        std::uint64_t rawBytes = 0;
    };
    std::vector<StoredBytes> storedBytes(int sample) const;

    /// Walks every chunk of a sample and checks its checksum; calls `damaged` with the path and position of each bad
    /// one. `progress` gets fractions and returns false to stop.
    void verifyChunks(int sample, const std::function<void(const std::string&)>& damaged,
        const std::function<bool(double)>& progress) const;

private:
    struct State;
    explicit Recording(std::unique_ptr<State> state);
    std::unique_ptr<State> m_state;
};

/// Edge of the overview of a prompt: the largest ceil(P / F) <= 128 over F = 1, 2, 4, ...
std::int64_t overviewEdge(std::int64_t promptTokens);
/// The F of the overview.
std::int64_t overviewFactor(std::int64_t promptTokens);

/// Factors of the stored pyramid, F = 4, 16, 64, ...: each level a quarter of the edge before, down to the first that
/// fits one tile. `full` recordings store every level, `qk` and `stats` those of at most 512 cells, `qk` without F = 4
/// (the rest grow with P^2).
std::vector<int> pyramidFactors(std::int64_t promptTokens, RecordKind kind);

} // namespace kvloupe
