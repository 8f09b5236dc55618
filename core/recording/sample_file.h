// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/chunked_array.h"
#include "core/recording/recording_types.h"
#include "core/recording/recording_writer.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

/// Writes the root attributes, /model and /tokenizer.
void writeHeader(const hdf5::Node& root, const RecordingInfo& info, const ModelInfo& model);

/// The HDF5 file of one sample while it is written: the part of SampleWriter that runs on the writer thread.
///
/// Datasets are created by their first write, so a recording has none that hold nothing. Throws RecordingError; after
/// that only the destructor may be called. Arguments have the shapes that SampleWriter documents.
class SampleFile {
public:
    SampleFile(
        std::filesystem::path path, const RecordingInfo& info, ModelInfo model, Compression compression, int index);
    /// Closes the file as it is.
    ~SampleFile();
    SampleFile(const SampleFile&) = delete;
    SampleFile& operator=(const SampleFile&) = delete;

    void begin(const SampleInfo& sample);
    void beginLayer(const LayerInfo& info);

    void write(int layer, TokenArray array, std::int64_t tokenBegin, std::int64_t tokens, std::span<const float> data);
    void writeVectors(
        int layer, VectorArray array, std::int64_t tokenBegin, std::int64_t tokens, std::span<const float> data);
    void writeTail(int layer, std::int64_t rows, std::span<const float> data);
    void writeQueryStatistics(int layer, std::span<const float> mean, std::span<const float> covariance);
    void writeOverview(int layer, Pooling pooling, std::span<const Half> data);
    void writeDecodeRow(int layer, std::int64_t generatedIndex, std::vector<Half> data);
    void writeMapTile(
        int layer, int head, std::int64_t tileRow, std::int64_t tileColumn, std::span<const std::byte> encoded);
    void writePyramidTile(int layer, int head, int factor, Pooling pooling, std::int64_t tileRow,
        std::int64_t tileColumn, std::span<const std::byte> encoded);
    void writeText(const SampleText& text);
    void writeLastLogits(std::span<const float> logits);

    /// Shrinks to sample.totalTokens, writes the attributes, closes and syncs the file.
    void close(const SampleInfo& sample);

private:
    struct Layer {
        LayerInfo info;
        hdf5::Node group;
        std::map<std::string, hdf5::Node> groups; ///< below the layer: "pyramid", "pyramid/4", "overview"
        std::map<std::string, hdf5::ChunkedArray> arrays; ///< by path below the layer
        std::vector<std::vector<Half>> decodeRows; ///< not yet written, the first of index decodeBegin
        std::int64_t decodeBegin = 0;
    };

    Layer& layerOf(int layer);
    hdf5::Node& groupOf(Layer& layer, const std::string& path);
    hdf5::ChunkedArray& arrayOf(Layer& layer, const std::string& path, hdf5::ElementType type,
        const hdf5::ChunkedArray::Index& dims, const hdf5::ChunkedArray::Index& chunk, Compression compression);
    void flushDecodeRows(Layer& layer);
    void flushAllDecodeRows();
    void shrinkArrays(std::int64_t totalTokens);
    void startWriteback(std::size_t bytes);

    std::filesystem::path m_path;
    ModelInfo m_model;
    Compression m_compression;
    SampleInfo m_sample; ///< totalTokens is the largest possible until close()
    hdf5::Codecs m_codecs;
    std::size_t m_decodeBytes = 0; ///< in all Layer::decodeRows
    std::size_t m_bytesSinceWriteback = 0;

    // In this order: children close before the file.
    hdf5::Node m_file;
    hdf5::Node m_group;
    hdf5::Node m_layers;
    std::map<int, Layer> m_layerFiles;
};

} // namespace kvloupe
