// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace kvloupe {

class RecordingError : public Error {
public:
    using Error::Error;
};

/// `none`: raw; `fast`: byte shuffle + deflate by ISA-L, level 1; `small`: byte shuffle + deflate by libdeflate,
/// level 6.
enum class Compression { None, Fast, Small };

/// Encodes and decodes HDF5 chunks outside of HDF5, as its filters shuffle, deflate and fletcher32 (in this order)
/// would.
///
/// Encoded chunks go to H5Dwrite_chunk, which takes no lock of ours and no filter of HDF5's; any HDF5 program reads
/// them. Not thread-safe; one per thread (it owns a libdeflate compressor of some 100 kB).
class ChunkCodec {
public:
    explicit ChunkCodec(Compression compression);
    ~ChunkCodec();
    ChunkCodec(ChunkCodec&&) noexcept;
    ChunkCodec& operator=(ChunkCodec&&) noexcept;

    Compression compression() const;

    /// `raw` is a whole chunk of elements of `elementSize` bytes. The result ends in the four bytes of the checksum.
    std::vector<std::byte> encode(std::span<const std::byte> raw, std::size_t elementSize);
    /// Fills `raw` exactly. `filterMask` is what H5Dread_chunk reports (bit n set = filter n was skipped).
    /// Throws RecordingError if the checksum, the deflate stream or the size is wrong; the caller adds which chunk it
    /// was.
    void decode(std::span<const std::byte> encoded, std::uint32_t filterMask, std::size_t elementSize,
        std::span<std::byte> raw);

private:
    struct State;
    std::unique_ptr<State> m_state;
};

/// The checksum of HDF5's fletcher32 filter (H5_checksum_fletcher32: 16-bit big-endian words, sums modulo 65535).
std::uint32_t fletcher32(std::span<const std::byte> bytes);

} // namespace kvloupe
