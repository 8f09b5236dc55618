// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/chunked_array.h"
#include "core/recording/recording_types.h"

#include <cstdint>
#include <string>

/// Names and shapes of format version 1 that the reader and the writer share. Private to this folder.
namespace kvloupe::layout {

inline constexpr std::string_view formatName = "kvloupe-recording";
inline constexpr int formatVersion = 1;
inline constexpr int maximumSampleIndex = 999999;
inline constexpr std::int64_t decodeChunkRows = 64;
inline constexpr std::int64_t decodeChunkTokens = 1024;
inline constexpr std::int64_t tokenChunk = 1024; ///< tokens per chunk of a per-token array
inline constexpr std::int64_t textChunk = 16384; ///< tokens per chunk below tokens/
inline constexpr std::int64_t topTokens = 5;

std::string sampleName(int index); ///< "000012"
std::string layerName(int layer); ///< "07"

/// Whether the array has one row per KV head instead of one per query head.
bool perKvHead(TokenArray array);
bool perKvHead(VectorArray array);

hdf5::ChunkedArray::Index tokenArrayDims(const ModelInfo& model, TokenArray array, std::int64_t tokens);
hdf5::ChunkedArray::Index vectorArrayDims(const ModelInfo& model, VectorArray array, std::int64_t tokens);

std::int64_t dividedUp(std::int64_t value, std::int64_t divisor);

/// Memory layout of one element of `spans`.
struct StoredSpan {
    std::int64_t begin;
    std::int64_t end;
    std::int8_t kind;
    std::int32_t shot;
    char* label;
};
/// The compound type of `spans`; `kind` is an enumeration of 8-bit integers.
hdf5::Handle spanType();

} // namespace kvloupe::layout
