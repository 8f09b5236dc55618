// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/prompt/span.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// How much of the attention is kept: see docs/recording-format.md.
enum class RecordKind { Full, QueriesKeys, Statistics };

/// Root attributes of a recording.
struct RecordingInfo {
    int formatVersion = 1;
    std::string uuid;
    std::string created; ///< ISO 8601, UTC
    std::string generator;
    std::string command; ///< arguments, prompt text left out
};

/// Group /model and /tokenizer.
struct ModelInfo {
    std::string name;
    std::string architecture;
    std::string fileSha256;
    std::string adapterSha256;
    std::string config; ///< JSON
    int numLayers = 0;
    int numHeads = 0;
    int numKvHeads = 0;
    int headDim = 0;
    int hiddenSize = 0;
    std::int64_t vocabSize = 0;
    std::int64_t maxPositions = 0;
    std::string dtype = "float32";
    std::string device = "cpu";
    std::string attentionImplementation;
    /// [variants][head_dim / 2]
    std::vector<std::vector<double>> inverseFrequencies;
    double attentionScaling = 1.0;
    std::string tokenizerKind;
    std::string tokenizerSha256;

    int groupSize() const { return numHeads / numKvHeads; }
};

/// Attributes of one sample, P = promptTokens, T = totalTokens.
struct SampleInfo {
    std::string id;
    std::string pairId;
    std::string task;
    std::string role;
    std::int64_t seed = 0;
    std::string promptSha256;
    std::int64_t promptTokens = 0;
    std::int64_t totalTokens = 0;
    double softmaxScale = 0.0;
    double wallSeconds = 0.0;
};

/// Everything about the text of one sample. All vectors have T entries.
struct SampleText {
    std::string text;
    std::vector<std::int32_t> ids;
    std::vector<std::string> pieces;
    std::vector<std::array<std::int64_t, 2>> offsets; ///< byte range in `text`
    std::vector<float> nll; ///< nats, NaN for the first token; may be empty
    std::vector<std::int32_t> topIds; ///< [T, 5]; may be empty
    std::vector<float> topLogprobs; ///< [T, 5]; may be empty
    std::vector<Span> spans;
};

/// Attributes of one layer of one sample, and what was recorded of it.
struct LayerInfo {
    int layer = 0;
    std::int64_t window = 0; ///< sliding window in tokens, 0 = global attention
    int ropeVariant = 0;
    std::vector<int> mapHeads; ///< heads that have a map, ascending
    bool hasQueriesKeys = false;
    bool hasValues = false;
    bool hasTail = false;
    std::int64_t tailRows = 0;
    std::vector<int> pyramidFactors; ///< ascending, for example 4, 16
    std::int64_t decodeRows = 0;
};

/// The per-layer arrays of float32 with one value per token: names as in the file.
enum class TokenArray {
    RowLogSumExp, ///< [heads, T]
    ColumnSum, ///< [heads, T]
    RowEntropy, ///< [heads, T]
    RowSinkMass, ///< [heads, T]
    RowMax, ///< [heads, T]
    KeyNorm, ///< [kv_heads, T]
    ValueNorm, ///< [kv_heads, T]
    OutputValueNorm1, ///< [heads, T], optional
    RowGini, ///< [heads, T], optional
    RowTopMass, ///< [heads, T, 3], optional: mass of the 1, 8, 64 largest
};
std::string_view tokenArrayName(TokenArray array);

/// The per-layer arrays of vectors, [heads or kv_heads, T, head_dim].
enum class VectorArray { Queries, Keys, Values };
std::string_view vectorArrayName(VectorArray array);

enum class Pooling { Max, Mean };
std::string_view poolingName(Pooling pooling);

inline constexpr std::int64_t tileSize = 256; ///< edge of a map chunk, cells
inline constexpr std::int64_t overviewSize = 128; ///< largest edge of an overview, cells
inline constexpr std::int64_t vectorChunkTokens = 1024; ///< tokens per chunk of queries, keys, values
inline constexpr std::int64_t sinkTokens = 4; ///< keys counted by row_sink_mass

} // namespace kvloupe
