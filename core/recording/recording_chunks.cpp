// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording_layout.h"
#include "core/recording/recording_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace kvloupe {
namespace {

using hdf5::Handle;
using hdf5::Node;

constexpr int deepestGroup = 8; ///< levels below a sample; recordings have five
constexpr std::size_t mostChildren = 65536;
constexpr std::size_t checksumBytes = 4;

struct Dataset {
    Node node;
    bool chunked = false;
    hdf5::ChunkedArray::Index dims;
    hdf5::ChunkedArray::Index chunk;
    int checksumFilter = -1; ///< position of fletcher32 among the filters, -1 = none
    std::uint64_t elementBytes = 0;
    std::uint64_t storedBytes = 0;

    std::uint64_t elements() const
    {
        return std::accumulate(dims.begin(), dims.end(), std::uint64_t{1},
            [this](std::uint64_t count, hsize_t dim) { return hdf5::product(count, dim, node); });
    }

    std::uint64_t chunks() const
    {
        std::uint64_t count = 1;
        for (std::size_t axis = 0; axis < dims.size(); ++axis) {
            count = hdf5::product(count, dims[axis] / chunk[axis] + (dims[axis] % chunk[axis] != 0 ? 1 : 0), node);
        }
        return count;
    }
};

Dataset describe(Node node)
{
    Dataset dataset;
    dataset.node = std::move(node);
    const hid_t id = dataset.node.id.id();
    const std::string where = dataset.node.where();
    const Handle space(H5Dget_space(id), where);
    const int rank = hdf5::check(H5Sget_simple_extent_ndims(space.id()), where);
    dataset.dims.resize(static_cast<std::size_t>(rank));
    std::vector<hsize_t> extent(dataset.dims.size());
    hdf5::check(H5Sget_simple_extent_dims(space.id(), extent.data(), nullptr), where);
    dataset.dims.assign(extent.begin(), extent.end());
    const Handle type(H5Dget_type(id), where);
    dataset.elementBytes = H5Tget_size(type.id());
    dataset.storedBytes = H5Dget_storage_size(id);
    const Handle creation(H5Dget_create_plist(id), where);
    if (H5Pget_layout(creation.id()) == H5D_CHUNKED) {
        dataset.chunked = true;
        hdf5::check(H5Pget_chunk(creation.id(), rank, extent.data()), where);
        dataset.chunk.assign(extent.begin(), extent.end());
        const int filters = hdf5::check(H5Pget_nfilters(creation.id()), where);
        for (int i = 0; i < filters; ++i) {
            unsigned flags = 0;
            unsigned config = 0;
            std::size_t values = 0;
            if (H5Pget_filter2(creation.id(), static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config)
                == H5Z_FILTER_FLETCHER32) {
                dataset.checksumFilter = i;
            }
        }
    }
    return dataset;
}

/// Every dataset below `group`. What cannot be opened goes to `damaged`.
void collect(const Node& group, int depth, std::vector<Dataset>& datasets,
    const std::function<void(const std::string&)>& damaged)
{
    const hdf5::Lock held = hdf5::lock();
    for (const std::string& name : hdf5::childNames(group, mostChildren)) {
        try {
            H5O_info_t info;
            hdf5::check(H5Oget_info_by_name2(group.id.id(), name.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT),
                fmt::format("{}: {}", group.file, group.childPath(name)));
            if (info.type == H5O_TYPE_DATASET) {
                datasets.push_back(describe(hdf5::openDataset(group, name)));
            } else if (depth < deepestGroup) {
                collect(hdf5::openGroup(group, name), depth + 1, datasets, damaged);
            }
        } catch (const RecordingError& error) {
            damaged(error.what());
        }
    }
}

/// Empty if the chunk is whole, else what is wrong with it.
std::string chunkProblem(const hdf5::StoredChunk& chunk, int checksumFilter)
{
    if ((chunk.filterMask >> checksumFilter & 1U) != 0) {
        return "has no checksum";
    }
    if (chunk.bytes.size() < checksumBytes) {
        return fmt::format("has {} bytes, too few for its checksum", chunk.bytes.size());
    }
    const auto body = std::span(chunk.bytes).first(chunk.bytes.size() - checksumBytes);
    std::uint32_t stored = 0;
    for (std::size_t i = 0; i < checksumBytes; ++i) {
        stored |= std::to_integer<std::uint32_t>(chunk.bytes[body.size() + i]) << (8 * i);
    }
    const std::uint32_t computed = fletcher32(body);
    return stored == computed ? std::string()
                              : fmt::format("checksum is {:08x}, its data give {:08x}", stored, computed);
}

/// Advances to the next chunk in row-major order; false after the last.
bool next(const Dataset& dataset, hdf5::ChunkedArray::Index& offset)
{
    for (std::size_t axis = offset.size(); axis > 0; --axis) {
        offset[axis - 1] += dataset.chunk[axis - 1];
        if (offset[axis - 1] < dataset.dims[axis - 1]) {
            return true;
        }
        offset[axis - 1] = 0;
    }
    return false;
}

} // namespace

std::vector<Recording::StoredBytes> Recording::storedBytes(int sample) const
{
    const hdf5::Lock held = hdf5::lock();
    std::vector<StoredBytes> result;
    const auto add = [&result](const std::string& name, const Dataset& dataset) {
        auto found = std::ranges::find(result, name, &StoredBytes::name);
        if (found == result.end()) {
            found = result.insert(result.end(), {name, 0, 0});
        }
        found->bytes += dataset.storedBytes;
        found->rawBytes += hdf5::product(dataset.elements(), dataset.elementBytes, dataset.node);
    };
    const auto raise = [](const std::string& problem) { throw RecordingError(problem); };
    for (const int layer : layers(sample)) {
        const Node& group = m_state->layerGroup(sample, layer);
        std::vector<Dataset> datasets;
        collect(group, 0, datasets, raise);
        for (const Dataset& dataset : datasets) {
            const std::string below = dataset.node.path.substr(group.path.size() + 1);
            add(below.substr(0, below.find('/')), dataset);
        }
    }
    return result;
}

void Recording::verifyChunks(int sample, const std::function<void(const std::string&)>& damaged,
    const std::function<bool(double)>& progress) const
{
    std::vector<Dataset> datasets;
    collect(m_state->sampleGroup(sample), 0, datasets, damaged);
    std::uint64_t total = 0;
    for (const Dataset& dataset : datasets) {
        total += dataset.storedBytes;
    }
    std::uint64_t done = 0;
    for (const Dataset& dataset : datasets) {
        const std::string where = dataset.node.where();
        if (dataset.chunked && dataset.elements() > 0) {
            if (dataset.checksumFilter < 0) {
                damaged(fmt::format("{}: its chunks have no checksums", where));
                continue;
            }
            // Each chunk takes some bytes of index, so more chunks than bytes is a lie.
            if (dataset.chunks() > std::max<std::uint64_t>(dataset.node.fileBytes, std::uint64_t{1} << 20)) {
                damaged(fmt::format("{}: claims {} chunks, more than the file can hold", where, dataset.chunks()));
                continue;
            }
            std::uint64_t sinceProgress = 0;
            hdf5::ChunkedArray::Index offset(dataset.dims.size(), 0);
            do {
                try {
                    const auto chunk = hdf5::readStoredChunk(dataset.node, offset, dataset.node.fileBytes);
                    const std::string problem
                        = chunk.bytes.empty() ? std::string() : chunkProblem(chunk, dataset.checksumFilter);
                    if (!problem.empty()) {
                        damaged(fmt::format("{}: chunk {}: {}", where, hdf5::positionText(offset), problem));
                    }
                    sinceProgress += chunk.bytes.size();
                } catch (const RecordingError& error) {
                    damaged(error.what());
                }
                constexpr std::uint64_t progressBytes = std::uint64_t{8} << 20;
                if (sinceProgress > progressBytes) {
                    done += sinceProgress;
                    sinceProgress = 0;
                    if (progress && !progress(std::min(1.0, static_cast<double>(done) / static_cast<double>(total)))) {
                        return;
                    }
                }
            } while (next(dataset, offset));
            done += sinceProgress;
        }
    }
    if (progress) {
        progress(1.0);
    }
}

} // namespace kvloupe
