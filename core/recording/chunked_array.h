// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/recording/chunk_codec.h"
#include "core/recording/hdf5_node.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <vector>

namespace kvloupe::hdf5 {

enum class ElementType { Float32, Half, Int32, Int64, Float64 };

/// One codec per way a dataset may be stored; belongs to one thread at a time.
class Codecs {
public:
    ChunkCodec& of(Compression compression);

private:
    ChunkCodec m_raw{Compression::None};
    ChunkCodec m_fast{Compression::Fast};
    ChunkCodec m_small{Compression::Small};
};

/// A chunked dataset of one to three dimensions whose chunks are encoded and decoded by ChunkCodec, outside of HDF5's
/// filters and of the lock. Positions and sizes are in elements.
class ChunkedArray {
public:
    static constexpr std::size_t maxRank = 3;
    using Index = std::vector<std::uint64_t>;

    /// Creates `parent/name`; the array can shrink but not grow. Chunks are clipped to `dims`.
    static ChunkedArray create(
        const Node& parent, std::string_view name, ElementType type, Index dims, Index chunk, Compression compression);
    /// Opens and checks class, type, rank, layout and filters. The caller checks dims().
    static ChunkedArray open(const Node& parent, std::string_view name, ElementType type, std::size_t rank);

    const Node& node() const { return m_node; }
    const Index& dims() const { return m_dims; }
    const Index& chunk() const { return m_chunk; }
    std::size_t elementBytes() const { return m_elementBytes; }
    Compression compression() const { return m_compression; }
    /// Bytes of all elements / of one chunk, decoded.
    std::uint64_t rawBytes() const;
    std::uint64_t chunkBytes() const;
    std::uint64_t storedBytes() const;

    /// Throws unless the dimensions are these.
    void requireDims(const Index& expected) const;

    /// Decodes the chunk that begins at `offset`; false (and zeros) if it was never written.
    bool readChunk(const Index& offset, Codecs& codecs, std::span<std::byte> raw) const;
    /// Elements [begin, begin + count) in row-major order; `out` has exactly their size.
    void readBox(const Index& begin, const Index& count, Codecs& codecs, std::span<std::byte> out) const;
    /// Calls `visit` with the offset of every chunk that overlaps [0, dims).
    void forEachChunk(const std::function<void(const Index&)>& visit) const;

    void writeEncoded(const Index& offset, std::span<const std::byte> encoded);
    /// Writes elements [begin, begin + count); chunks that hold other elements already are read, changed and rewritten.
    void writeBox(const Index& begin, const Index& count, Codecs& codecs, std::span<const std::byte> data);
    void shrink(const Index& dims);

private:
    void copyBox(const Index& chunkOffset, const Index& begin, const Index& count, bool intoChunk,
        std::span<std::byte> chunk, std::span<std::byte> box) const;
    bool writtenBefore(const Index& offset) const { return m_written.contains(offset); }

    Node m_node;
    Index m_dims;
    Index m_chunk;
    std::size_t m_elementBytes = 0;
    Compression m_compression = Compression::None;
    bool m_writing = false;
    std::set<Index> m_written; ///< by writeBox
};

/// One chunk as it is stored, with the mask of the filters that were skipped.
struct StoredChunk {
    std::vector<std::byte> bytes; ///< empty if the chunk was never written
    std::uint32_t filterMask = 0;
};
/// Reads the chunk of `dataset` at `offset`; throws if it claims more than `largest` bytes.
StoredChunk readStoredChunk(const Node& dataset, const ChunkedArray::Index& offset, std::uint64_t largest);

/// "[0, 256, 512]"
std::string positionText(const ChunkedArray::Index& position);

} // namespace kvloupe::hdf5
