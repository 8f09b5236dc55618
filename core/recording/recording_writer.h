// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/chunk_codec.h"
#include "core/recording/half.h"
#include "core/recording/recording_types.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

struct RecordOptions {
    RecordKind kind = RecordKind::Full;
    Compression compression = Compression::Fast;
    /// Encoded chunks that may wait for the disk; a caller that would exceed it waits.
    std::size_t queueBytes = std::size_t{16} << 20;
};

class SampleWriter;

/// Writes a recording, sample by sample, so that whatever was finished survives kill -9 and a full disk.
///
/// Each sample is a complete one-sample recording of its own under `REC.h5.parts/`, synced and renamed into place when
/// complete; `finish` merges them into `REC.h5` through a temporary file and a rename (one part is simply renamed).
class RecordingWriter {
public:
    enum class Existing { Refuse, Overwrite, Resume };

    /// Refuse: RecordingError if `path` or its parts exist. Resume: goes on after the samples already complete; the
    /// model (weights hash, configuration) and tokenizer must be the same.
    RecordingWriter(
        std::filesystem::path path, RecordingInfo info, ModelInfo model, RecordOptions options, Existing existing);
    ~RecordingWriter();

    /// Indices of samples already complete (Resume).
    const std::set<int>& completeSamples() const;
    /// Attributes of a sample that is already complete, to check that it is the same prompt.
    SampleInfo completeSample(int index) const;
    std::unique_ptr<SampleWriter> beginSample(int index);
    /// Merges the parts; no-op for an empty recording. `merge` false leaves the folder of parts.
    void finish(bool merge = true);

private:
    struct State;
    std::unique_ptr<State> m_state;
};

/// Writes one sample. Every call may come from any thread; HDF5 work happens on one writer thread behind a queue of
/// bounded bytes, in the order of the calls. An error there (disk full) is thrown by the next call and by commit().
/// Destroyed without commit(): the unfinished part is deleted.
class SampleWriter {
public:
    ~SampleWriter();

    /// Must come first: creates the sample; `totalTokens` is the most the sample may grow to.
    void begin(const SampleInfo& sample);
    /// Must come before anything else of that layer. Used of `info`: layer, window, ropeVariant and mapHeads, the heads
    /// whose maps will come, ascending. Datasets are created by their first write: a recording has none that hold
    /// nothing.
    void beginLayer(const LayerInfo& info);

    /// Tokens [tokenBegin, tokenBegin + n) of a per-token array; `data` is [heads or kv_heads, n].
    void write(int layer, TokenArray array, std::int64_t tokenBegin, std::int64_t tokens, std::vector<float> data);
    /// Tokens [tokenBegin, ...) of queries, keys or values; `data` is [heads or kv_heads, n, head_dim].
    void writeVectors(
        int layer, VectorArray array, std::int64_t tokenBegin, std::int64_t tokens, std::vector<float> data);
    void writeTail(
        int layer, std::int64_t rows, std::vector<float> data); ///< [heads, rows, P], the last prompt row last
    void writeQueryStatistics(int layer, std::vector<float> mean, std::vector<float> covariance);
    void writeOverview(int layer, Pooling pooling, std::vector<Half> data); ///< [heads, edge, edge]
    /// Row of a generated token for all map heads, [map_heads, T so far]; index 0 = first generated token.
    void writeDecodeRow(int layer, std::int64_t generatedIndex, std::vector<Half> data);

    /// A 256 x 256 tile, row-major, zero beyond the map. Encoded on the calling thread with `codec`, then queued.
    void writeMapTile(int layer, int head, std::int64_t tileRow, std::int64_t tileColumn, std::span<const Half> tile,
        ChunkCodec& codec);
    void writePyramidTile(int layer, int head, int factor, Pooling pooling, std::int64_t tileRow,
        std::int64_t tileColumn, std::span<const Half> tile, ChunkCodec& codec);

    void writeText(const SampleText& text);
    void writeLastLogits(std::vector<float> logits);

    /// Shrinks to the final `totalTokens`, stores the sample's attributes, flushes, syncs and renames the part.
    void commit(const SampleInfo& sample);

private:
    friend class RecordingWriter;
    struct State;
    explicit SampleWriter(std::unique_ptr<State> state);
    std::unique_ptr<State> m_state;
};

/// SOURCE_DATE_EPOCH if set, else now, as ISO 8601 in UTC.
std::string recordingTimestamp();
std::string makeUuid();

} // namespace kvloupe
