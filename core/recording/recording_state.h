// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/chunked_array.h"
#include "core/recording/hdf5_node.h"
#include "core/recording/recording.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kvloupe {

/// What an open recording knows and keeps open. Private to this folder.
struct Recording::State {
    struct Sample {
        std::filesystem::path file;
        std::string name; ///< of its group below /samples
        SampleInfo info;
        std::optional<std::vector<int>> layers; ///< read on demand
        std::map<int, LayerInfo> layerInfos; ///< read on demand; references to them are handed out
    };

    std::filesystem::path path;
    bool partial = false;
    RecordingInfo info;
    ModelInfo model;
    std::vector<Sample> samples;

    // Open objects, all of them closed together when they become too many. The order matters: children close first.
    std::map<std::filesystem::path, hdf5::Node> files;
    std::map<int, hdf5::Node> sampleGroups;
    std::map<std::pair<int, int>, hdf5::Node> layerGroups;
    std::map<std::pair<std::pair<int, int>, std::string>, hdf5::ChunkedArray> arrays;
    hdf5::Codecs codecs;

    void openFile(const std::filesystem::path& file);
    void openFolder(const std::filesystem::path& folder);
    void readSamples(const hdf5::Node& root, const std::filesystem::path& file);

    const Sample& sampleAt(int sample) const;
    Sample& sampleAt(int sample);
    const std::vector<int>& layersOf(int sample);
    const LayerInfo& layerOf(int sample, int layer);

    const hdf5::Node& sampleGroup(int sample);
    const hdf5::Node& layerGroup(int sample, int layer);
    /// `path` below the layer, such as "pyramid/4/max".
    const hdf5::ChunkedArray& array(
        int sample, int layer, const std::string& path, hdf5::ElementType type, std::size_t rank);
    /// A whole small array below `parent`, of exactly these dimensions.
    template <class Value>
    std::vector<Value> readWhole(
        const hdf5::Node& parent, std::string_view name, hdf5::ElementType type, const hdf5::ChunkedArray::Index& dims);
    template <class Value> std::vector<Value> readAll(const hdf5::ChunkedArray& array);
    bool readTile(const hdf5::ChunkedArray& array, std::uint64_t head, std::int64_t edge, std::int64_t tileRow,
        std::int64_t tileColumn, std::span<Half> out);

private:
    void makeRoom();
};

template <class Value> std::vector<Value> Recording::State::readAll(const hdf5::ChunkedArray& array)
{
    const std::uint64_t bytes = array.rawBytes();
    hdf5::requirePlausible(bytes, array.node());
    std::vector<Value> values(bytes / sizeof(Value));
    array.readBox(hdf5::ChunkedArray::Index(array.dims().size(), 0), array.dims(), codecs,
        std::as_writable_bytes(std::span(values)));
    return values;
}

template <class Value>
std::vector<Value> Recording::State::readWhole(
    const hdf5::Node& parent, std::string_view name, hdf5::ElementType type, const hdf5::ChunkedArray::Index& dims)
{
    const auto array = hdf5::ChunkedArray::open(parent, name, type, dims.size());
    array.requireDims(dims);
    return readAll<Value>(array);
}

} // namespace kvloupe
