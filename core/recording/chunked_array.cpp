// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/chunked_array.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

namespace kvloupe::hdf5 {
namespace {

struct TypeEntry {
    std::string_view name;
    std::size_t bytes;
};

TypeEntry typeEntry(ElementType type)
{
    switch (type) {
    case ElementType::Float32:
        return {"float32", 4};
    case ElementType::Half:
        return {"float16", 2};
    case ElementType::Int32:
        return {"int32", 4};
    case ElementType::Int64:
        return {"int64", 8};
    case ElementType::Float64:
        return {"float64", 8};
    }
    return {};
}

Handle fileType(ElementType type)
{
    switch (type) {
    case ElementType::Half:
        return halfType();
    case ElementType::Float32:
        return Handle(H5Tcopy(H5T_IEEE_F32LE), "float32");
    case ElementType::Int32:
        return Handle(H5Tcopy(H5T_STD_I32LE), "int32");
    case ElementType::Int64:
        return Handle(H5Tcopy(H5T_STD_I64LE), "int64");
    case ElementType::Float64:
        return Handle(H5Tcopy(H5T_IEEE_F64LE), "float64");
    }
    return {};
}

/// Calls `visit` with every offset that is a multiple of `chunk` and whose chunk overlaps [begin, end).
void forEachOffset(const ChunkedArray::Index& begin, const ChunkedArray::Index& end, const ChunkedArray::Index& chunk,
    const std::function<void(const ChunkedArray::Index&)>& visit)
{
    const std::size_t rank = chunk.size();
    ChunkedArray::Index first(rank);
    for (std::size_t axis = 0; axis < rank; ++axis) {
        if (begin[axis] >= end[axis]) {
            return;
        }
        first[axis] = begin[axis] / chunk[axis] * chunk[axis];
    }
    ChunkedArray::Index offset = first;
    for (;;) {
        visit(offset);
        std::size_t axis = rank;
        while (axis > 0) {
            --axis;
            offset[axis] += chunk[axis];
            if (offset[axis] < end[axis]) {
                break;
            }
            offset[axis] = first[axis];
            if (axis == 0) {
                return;
            }
        }
    }
}

Compression filtersOf(hid_t creation, const Node& node)
{
    const int count = check(H5Pget_nfilters(creation), node.where());
    std::vector<H5Z_filter_t> filters;
    for (int i = 0; i < std::min(count, 8); ++i) {
        unsigned flags = 0;
        unsigned config = 0;
        std::size_t values = 0;
        filters.push_back(
            H5Pget_filter2(creation, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config));
    }
    if (filters == std::vector<H5Z_filter_t>{H5Z_FILTER_FLETCHER32}) {
        return Compression::None;
    }
    if (filters == std::vector<H5Z_filter_t>{H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE, H5Z_FILTER_FLETCHER32}) {
        return Compression::Fast;
    }
    throw RecordingError(
        fmt::format("{} has HDF5 filters [{}], expected [3] (fletcher32) or [2, 1, 3] (shuffle, deflate, fletcher32)",
            node.where(), fmt::join(filters, ", ")));
}

} // namespace

ChunkCodec& Codecs::of(Compression compression)
{
    return compression == Compression::None ? m_raw : compression == Compression::Fast ? m_fast : m_small;
}

std::string positionText(const ChunkedArray::Index& position)
{
    return fmt::format("[{}]", fmt::join(position, ", "));
}

ChunkedArray ChunkedArray::create(
    const Node& parent, std::string_view name, ElementType type, Index dims, Index chunk, Compression compression)
{
    const Lock held = lock();
    ChunkedArray array;
    array.m_node.file = parent.file;
    array.m_node.path = parent.childPath(name);
    const std::string where = array.m_node.where();
    for (std::size_t axis = 0; axis < dims.size(); ++axis) {
        chunk[axis] = std::min(chunk[axis], dims[axis]);
    }
    const auto rank = static_cast<int>(dims.size());
    const std::vector<hsize_t> extent(dims.begin(), dims.end());
    const std::vector<hsize_t> chunkExtent(chunk.begin(), chunk.end());
    const Handle space(H5Screate_simple(rank, extent.data(), extent.data()), where);
    const Handle creation(H5Pcreate(H5P_DATASET_CREATE), where);
    check(H5Pset_chunk(creation.id(), rank, chunkExtent.data()), where);
    check(H5Pset_alloc_time(creation.id(), H5D_ALLOC_TIME_INCR), where);
    check(H5Pset_fill_time(creation.id(), H5D_FILL_TIME_NEVER), where);
    if (compression != Compression::None) {
        check(H5Pset_shuffle(creation.id()), where);
        check(H5Pset_deflate(creation.id(), compression == Compression::Fast ? 1 : 6), where);
    }
    check(H5Pset_fletcher32(creation.id()), where);
    const Handle elementType = fileType(type);
    array.m_node.id = Handle(H5Dcreate2(parent.id.id(), std::string(name).c_str(), elementType.id(), space.id(),
                                 H5P_DEFAULT, creation.id(), H5P_DEFAULT),
        where);
    array.m_dims = std::move(dims);
    array.m_chunk = std::move(chunk);
    array.m_elementBytes = typeEntry(type).bytes;
    array.m_compression = compression;
    array.m_writing = true;
    // What was written is read back by nobody but writeBox, so any size is plausible.
    array.m_node.fileBytes = std::numeric_limits<std::uint64_t>::max();
    return array;
}

ChunkedArray ChunkedArray::open(const Node& parent, std::string_view name, ElementType type, std::size_t rank)
{
    const Lock held = lock();
    ChunkedArray array;
    array.m_node = openDataset(parent, name);
    const Node& node = array.m_node;
    const std::string where = node.where();
    const hid_t id = node.id.id();

    const Handle creation(H5Dget_create_plist(id), where);
    const H5D_layout_t layout = H5Pget_layout(creation.id());
    if (layout != H5D_CHUNKED) {
        throw RecordingError(fmt::format("{} is {}, expected a chunked dataset", where,
            layout == H5D_COMPACT ? "stored compactly" : "stored contiguously"));
    }
    const Handle elementType(H5Dget_type(id), where);
    if (check(H5Tequal(elementType.id(), fileType(type).id()), where) <= 0) {
        throw RecordingError(
            fmt::format("{} has the wrong element type, expected {} little endian", where, typeEntry(type).name));
    }
    const Handle space(H5Dget_space(id), where);
    const int foundRank = check(H5Sget_simple_extent_ndims(space.id()), where);
    if (static_cast<std::size_t>(foundRank) != rank) {
        throw RecordingError(fmt::format("{} has {} dimensions, expected {}", where, foundRank, rank));
    }
    std::array<hsize_t, maxRank> dims{};
    std::array<hsize_t, maxRank> chunk{};
    check(H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr), where);
    if (check(H5Pget_chunk(creation.id(), static_cast<int>(rank), chunk.data()), where) != foundRank) {
        throw RecordingError(fmt::format("{}: its chunks have another rank", where));
    }
    array.m_dims.assign(dims.begin(), dims.begin() + foundRank);
    array.m_chunk.assign(chunk.begin(), chunk.begin() + foundRank);
    array.m_elementBytes = typeEntry(type).bytes;
    array.m_compression = filtersOf(creation.id(), node);
    if (std::ranges::find(array.m_chunk, std::uint64_t{0}) != array.m_chunk.end()) {
        throw RecordingError(fmt::format("{} has chunks of no elements", where));
    }
    constexpr std::uint64_t largestChunk = std::uint64_t{1} << 30;
    if (array.chunkBytes() > largestChunk) {
        throw RecordingError(
            fmt::format("{} has chunks of {} bytes, expected at most {}", where, array.chunkBytes(), largestChunk));
    }
    requirePlausible(array.chunkBytes(), node);
    return array;
}

std::uint64_t ChunkedArray::rawBytes() const
{
    std::uint64_t bytes = m_elementBytes;
    for (const std::uint64_t dim : m_dims) {
        bytes = product(bytes, dim, m_node);
    }
    return bytes;
}

std::uint64_t ChunkedArray::chunkBytes() const
{
    std::uint64_t bytes = m_elementBytes;
    for (const std::uint64_t dim : m_chunk) {
        bytes = product(bytes, dim, m_node);
    }
    return bytes;
}

std::uint64_t ChunkedArray::storedBytes() const
{
    const Lock held = lock();
    return H5Dget_storage_size(m_node.id.id());
}

void ChunkedArray::requireDims(const Index& expected) const
{
    if (m_dims != expected) {
        throw RecordingError(
            fmt::format("{} has shape {}, expected {}", m_node.where(), positionText(m_dims), positionText(expected)));
    }
}

StoredChunk readStoredChunk(const Node& dataset, const ChunkedArray::Index& offset, std::uint64_t largest)
{
    const std::vector<hsize_t> position(offset.begin(), offset.end());
    const hid_t id = dataset.id.id();
    const Lock held = lock();
    StoredChunk chunk;
    hsize_t bytes = 0;
    if (H5Dget_chunk_storage_size(id, position.data(), &bytes) < 0) {
        // The only way there is to ask in constant time; newer versions of HDF5 report 0 bytes instead.
        const std::string problem = cause();
        if (problem.find("not allocated") == std::string::npos) {
            throw RecordingError(fmt::format("{}: chunk {}: {}", dataset.where(), positionText(offset), problem));
        }
        return chunk;
    }
    if (bytes > largest) {
        throw RecordingError(fmt::format("{}: chunk {}: claims {} bytes, expected at most {}", dataset.where(),
            positionText(offset), bytes, largest));
    }
    if (bytes > 0) {
        chunk.bytes.resize(bytes);
        if (H5Dread_chunk(id, H5P_DEFAULT, position.data(), &chunk.filterMask, chunk.bytes.data()) < 0) {
            fail(fmt::format("{}: chunk {}", dataset.where(), positionText(offset)));
        }
    }
    return chunk;
}

bool ChunkedArray::readChunk(const Index& offset, Codecs& codecs, std::span<std::byte> raw) const
{
    assert(raw.size() == chunkBytes());
    // Deflate grows incompressible data by some bytes in 64 kB.
    const std::uint64_t largest = std::min(m_node.fileBytes, raw.size() + raw.size() / 64 + 1024);
    StoredChunk stored = readStoredChunk(m_node, offset, largest);
    if (stored.bytes.empty()) {
        std::ranges::fill(raw, std::byte{0});
        return false;
    }
    if (m_writing) {
        // HDF5 1.10 reports an uninitialised mask for a chunk just written to a dataset of one chunk.
        stored.filterMask = 0;
    }
    try {
        codecs.of(m_compression).decode(stored.bytes, stored.filterMask, m_elementBytes, raw);
    } catch (const RecordingError& error) {
        throw RecordingError(fmt::format("{}: chunk {}: {}", m_node.where(), positionText(offset), error.what()));
    }
    return true;
}

void ChunkedArray::copyBox(const Index& chunkOffset, const Index& begin, const Index& count, bool intoChunk,
    std::span<std::byte> chunk, std::span<std::byte> box) const
{
    // Padded to three dimensions in front.
    std::array<std::uint64_t, maxRank> low{};
    std::array<std::uint64_t, maxRank> high{1, 1, 1};
    std::array<std::uint64_t, maxRank> chunkBegin{};
    std::array<std::uint64_t, maxRank> boxBegin{};
    std::array<std::uint64_t, maxRank> chunkSize{1, 1, 1};
    std::array<std::uint64_t, maxRank> boxSize{1, 1, 1};
    const std::size_t pad = maxRank - m_chunk.size();
    for (std::size_t axis = 0; axis < m_chunk.size(); ++axis) {
        low[pad + axis] = std::max(chunkOffset[axis], begin[axis]);
        high[pad + axis] = std::min(chunkOffset[axis] + m_chunk[axis], begin[axis] + count[axis]);
        chunkBegin[pad + axis] = chunkOffset[axis];
        boxBegin[pad + axis] = begin[axis];
        chunkSize[pad + axis] = m_chunk[axis];
        boxSize[pad + axis] = count[axis];
    }
    if (low[2] >= high[2]) {
        return;
    }
    const std::size_t run = (high[2] - low[2]) * m_elementBytes;
    for (std::uint64_t i = low[0]; i < high[0]; ++i) {
        for (std::uint64_t j = low[1]; j < high[1]; ++j) {
            const std::uint64_t chunkAt
                = (((i - chunkBegin[0]) * chunkSize[1] + j - chunkBegin[1]) * chunkSize[2] + low[2] - chunkBegin[2])
                * m_elementBytes;
            const std::uint64_t boxAt
                = (((i - boxBegin[0]) * boxSize[1] + j - boxBegin[1]) * boxSize[2] + low[2] - boxBegin[2])
                * m_elementBytes;
            if (intoChunk) {
                std::memcpy(chunk.data() + chunkAt, box.data() + boxAt, run);
            } else {
                std::memcpy(box.data() + boxAt, chunk.data() + chunkAt, run);
            }
        }
    }
}

void ChunkedArray::readBox(const Index& begin, const Index& count, Codecs& codecs, std::span<std::byte> out) const
{
    Index end(begin.size());
    for (std::size_t axis = 0; axis < begin.size(); ++axis) {
        assert(begin[axis] + count[axis] <= m_dims[axis]);
        end[axis] = begin[axis] + count[axis];
    }
    std::vector<std::byte> raw(chunkBytes());
    forEachOffset(begin, end, m_chunk, [&](const Index& offset) {
        readChunk(offset, codecs, raw);
        copyBox(offset, begin, count, false, raw, out);
    });
}

void ChunkedArray::forEachChunk(const std::function<void(const Index&)>& visit) const
{
    forEachOffset(Index(m_dims.size(), 0), m_dims, m_chunk, visit);
}

void ChunkedArray::writeEncoded(const Index& offset, std::span<const std::byte> encoded)
{
    const std::vector<hsize_t> position(offset.begin(), offset.end());
    const Lock held = lock();
    check(H5Dwrite_chunk(m_node.id.id(), H5P_DEFAULT, 0, position.data(), encoded.size(), encoded.data()),
        m_node.where());
}

void ChunkedArray::writeBox(const Index& begin, const Index& count, Codecs& codecs, std::span<const std::byte> data)
{
    Index end(begin.size());
    for (std::size_t axis = 0; axis < begin.size(); ++axis) {
        assert(begin[axis] + count[axis] <= m_dims[axis]);
        end[axis] = begin[axis] + count[axis];
    }
    std::vector<std::byte> raw(chunkBytes());
    // copyBox only reads the box in this direction.
    const std::span box(
        const_cast<std::byte*>(data.data()), data.size()); // NOLINT(cppcoreguidelines-pro-type-const-cast)
    forEachOffset(begin, end, m_chunk, [&](const Index& offset) {
        bool covered = true;
        for (std::size_t axis = 0; axis < begin.size(); ++axis) {
            covered = covered && begin[axis] <= offset[axis] && end[axis] >= offset[axis] + m_chunk[axis];
        }
        if (!covered && writtenBefore(offset)) {
            readChunk(offset, codecs, raw);
        } else if (!covered) {
            std::ranges::fill(raw, std::byte{0});
        }
        copyBox(offset, begin, count, true, raw, box);
        writeEncoded(offset, codecs.of(m_compression).encode(raw, m_elementBytes));
        m_written.insert(offset);
    });
}

void ChunkedArray::shrink(const Index& dims)
{
    const std::vector<hsize_t> extent(dims.begin(), dims.end());
    const Lock held = lock();
    check(H5Dset_extent(m_node.id.id(), extent.data()), m_node.where());
    m_dims = dims;
}

} // namespace kvloupe::hdf5
