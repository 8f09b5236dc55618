// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/chunk_codec.h"

#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <libdeflate.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <limits>
#include <new>
#include <optional>

namespace kvloupe {
namespace {

constexpr std::size_t checksumBytes = 4;
constexpr std::uint64_t fletcherModulus = 65535;

/// Folding as HDF5 does it never turns a sum that was not 0 into 0: multiples of the modulus become 65535.
std::uint32_t foldedSum(std::uint64_t residue, bool anyWord)
{
    return static_cast<std::uint32_t>(residue == 0 && anyWord ? fletcherModulus : residue);
}

void shuffleBytes(std::span<const std::byte> in, std::size_t elementSize, std::span<std::byte> out)
{
    const std::size_t count = in.size() / elementSize;
    const std::byte* from = in.data();
    std::byte* to = out.data();
    if (elementSize == 2) {
        for (std::size_t i = 0; i < count; ++i) {
            to[i] = from[2 * i];
            to[count + i] = from[2 * i + 1];
        }
    } else if (elementSize == 4) {
        for (std::size_t i = 0; i < count; ++i) {
            to[i] = from[4 * i];
            to[count + i] = from[4 * i + 1];
            to[2 * count + i] = from[4 * i + 2];
            to[3 * count + i] = from[4 * i + 3];
        }
    } else {
        for (std::size_t byte = 0; byte < elementSize; ++byte) {
            for (std::size_t i = 0; i < count; ++i) {
                to[byte * count + i] = from[i * elementSize + byte];
            }
        }
    }
    std::copy(from + count * elementSize, from + in.size(), to + count * elementSize);
}

void unshuffleBytes(std::span<const std::byte> in, std::size_t elementSize, std::span<std::byte> out)
{
    const std::size_t count = in.size() / elementSize;
    const std::byte* from = in.data();
    std::byte* to = out.data();
    if (elementSize == 2) {
        for (std::size_t i = 0; i < count; ++i) {
            to[2 * i] = from[i];
            to[2 * i + 1] = from[count + i];
        }
    } else if (elementSize == 4) {
        for (std::size_t i = 0; i < count; ++i) {
            to[4 * i] = from[i];
            to[4 * i + 1] = from[count + i];
            to[4 * i + 2] = from[2 * count + i];
            to[4 * i + 3] = from[3 * count + i];
        }
    } else {
        for (std::size_t byte = 0; byte < elementSize; ++byte) {
            for (std::size_t i = 0; i < count; ++i) {
                to[i * elementSize + byte] = from[byte * count + i];
            }
        }
    }
    std::copy(from + count * elementSize, from + in.size(), to + count * elementSize);
}

struct FreeCompressor {
    void operator()(libdeflate_compressor* compressor) const { libdeflate_free_compressor(compressor); }
};
struct FreeDecompressor {
    void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
};

} // namespace

std::uint32_t fletcher32(std::span<const std::byte> bytes)
{
    // HDF5 sums big-endian words. Swapping the bytes of a word is multiplying it by 256 modulo 65535, so the sums are
    // taken over words as they lie in memory and swapped once. Sixteen lanes with sums of their own let the compiler
    // vectorise; 256 rounds keep a lane's sum of sums below 2^32.
    constexpr std::size_t lanes = 16;
    constexpr std::size_t rounds = 256;
    const std::size_t words = bytes.size() / 2;
    const std::byte* data = bytes.data();

    std::uint64_t sum1 = 0;
    std::uint64_t sum2 = 0;
    bool anyWord = false;
    std::size_t done = 0;
    while (words - done >= lanes) {
        const std::size_t blockRounds = std::min(rounds, (words - done) / lanes);
        std::array<std::uint32_t, lanes> laneSum{};
        std::array<std::uint32_t, lanes> laneSumOfSums{};
        for (std::size_t round = 0; round < blockRounds; ++round) {
            std::array<std::uint16_t, lanes> word;
            std::memcpy(word.data(), data + 2 * done, sizeof(word));
            for (std::size_t lane = 0; lane < lanes; ++lane) {
                laneSum[lane] += word[lane];
                laneSumOfSums[lane] += laneSum[lane];
            }
            done += lanes;
        }
        std::uint64_t blockSum = 0;
        std::uint64_t blockSumOfSums = 0;
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            blockSum += laneSum[lane];
            blockSumOfSums += lanes * std::uint64_t{laneSumOfSums[lane]} - lane * std::uint64_t{laneSum[lane]};
        }
        anyWord = anyWord || blockSum != 0;
        sum2 = (sum2 + blockRounds * lanes * sum1 + blockSumOfSums) % fletcherModulus;
        sum1 = (sum1 + blockSum) % fletcherModulus;
    }
    for (; done < words; ++done) {
        std::uint16_t word = 0;
        std::memcpy(&word, data + 2 * done, sizeof(word));
        anyWord = anyWord || word != 0;
        sum1 = (sum1 + word) % fletcherModulus;
        sum2 = (sum2 + sum1) % fletcherModulus;
    }
    if (bytes.size() % 2 != 0) {
        const auto last = static_cast<std::uint16_t>(bytes.back());
        anyWord = anyWord || last != 0;
        sum1 = (sum1 + last) % fletcherModulus;
        sum2 = (sum2 + sum1) % fletcherModulus;
    }
    return foldedSum(sum2 * 256 % fletcherModulus, anyWord) << 16 | foldedSum(sum1 * 256 % fletcherModulus, anyWord);
}

/// ISA-L's level 1, a zlib stream: measured on the maps of a real model it is 3.8 times as fast as libdeflate's level 1
/// for streams that are 8 % larger (docs/performance.md), and recording is bound by the compressor.
class FastCompressor {
public:
    /// Bytes written to `out`, 0 if it is too small.
    std::size_t compress(std::span<const std::byte> in, std::span<std::byte> out)
    {
        isal_deflate_stateless_init(m_stream.get());
        m_stream->level = 1;
        m_stream->level_buf = m_buffer.data();
        m_stream->level_buf_size = static_cast<std::uint32_t>(m_buffer.size());
        m_stream->gzip_flag = IGZIP_ZLIB;
        m_stream->end_of_stream = 1;
        m_stream->flush = NO_FLUSH;
        // The library takes its input as non-const and does not write to it.
        m_stream->next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(in.data()));
        m_stream->avail_in = static_cast<std::uint32_t>(in.size());
        m_stream->next_out = reinterpret_cast<std::uint8_t*>(out.data());
        m_stream->avail_out = static_cast<std::uint32_t>(out.size());
        return isal_deflate_stateless(m_stream.get()) == COMP_OK ? m_stream->total_out : 0;
    }

private:
    std::unique_ptr<isal_zstream> m_stream = std::make_unique<isal_zstream>();
    std::vector<std::uint8_t> m_buffer = std::vector<std::uint8_t>(ISAL_DEF_LVL1_DEFAULT);
};

struct ChunkCodec::State {
    Compression compression = Compression::None;
    std::optional<FastCompressor> fast;
    std::unique_ptr<libdeflate_compressor, FreeCompressor> compressor;
    std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor;
    std::vector<std::byte> shuffled;
    std::vector<std::byte> deflated;

    /// From `shuffled` to `deflated`; the bytes written.
    std::size_t deflate();

    std::uint32_t deflateFilter() const { return 1; }
    std::uint32_t checksumFilter() const { return compression == Compression::None ? 0 : 2; }
};

std::size_t ChunkCodec::State::deflate()
{
    if (compression == Compression::Fast && shuffled.size() < std::numeric_limits<std::uint32_t>::max() / 2) {
        if (!fast) {
            fast.emplace();
        }
        deflated.resize(shuffled.size() + shuffled.size() / 8 + 1024);
        if (const std::size_t size = fast->compress(shuffled, deflated); size > 0) {
            return size;
        }
    }
    if (!compressor) {
        compressor.reset(libdeflate_alloc_compressor(6));
        if (!compressor) {
            throw std::bad_alloc();
        }
    }
    deflated.resize(libdeflate_zlib_compress_bound(compressor.get(), shuffled.size()));
    return libdeflate_zlib_compress(
        compressor.get(), shuffled.data(), shuffled.size(), deflated.data(), deflated.size());
}

ChunkCodec::ChunkCodec(Compression compression)
    : m_state(std::make_unique<State>())
{
    m_state->compression = compression;
}

ChunkCodec::~ChunkCodec() = default;
ChunkCodec::ChunkCodec(ChunkCodec&&) noexcept = default;
ChunkCodec& ChunkCodec::operator=(ChunkCodec&&) noexcept = default;

Compression ChunkCodec::compression() const
{
    return m_state->compression;
}

std::vector<std::byte> ChunkCodec::encode(std::span<const std::byte> raw, std::size_t elementSize)
{
    assert(elementSize > 0);
    std::span<const std::byte> body = raw;
    if (m_state->compression != Compression::None) {
        m_state->shuffled.resize(raw.size());
        shuffleBytes(raw, elementSize, m_state->shuffled);
        const std::size_t size = m_state->deflate();
        assert(size > 0);
        body = std::span(m_state->deflated).first(size);
    }
    const std::uint32_t checksum = fletcher32(body);
    std::array<std::byte, checksumBytes> stored;
    for (std::size_t i = 0; i < checksumBytes; ++i) {
        stored[i] = static_cast<std::byte>(checksum >> (8 * i));
    }
    std::vector<std::byte> encoded;
    encoded.reserve(body.size() + checksumBytes);
    encoded.insert(encoded.end(), body.begin(), body.end());
    encoded.insert(encoded.end(), stored.begin(), stored.end());
    return encoded;
}

void ChunkCodec::decode(
    std::span<const std::byte> encoded, std::uint32_t filterMask, std::size_t elementSize, std::span<std::byte> raw)
{
    assert(elementSize > 0);
    const auto applied = [filterMask](std::uint32_t filter) { return (filterMask >> filter & 1U) == 0; };

    if (applied(m_state->checksumFilter())) {
        if (encoded.size() < checksumBytes) {
            throw RecordingError(fmt::format("chunk has {} bytes, too few for its checksum", encoded.size()));
        }
        const auto body = encoded.first(encoded.size() - checksumBytes);
        std::uint32_t stored = 0;
        for (std::size_t i = 0; i < checksumBytes; ++i) {
            stored |= std::to_integer<std::uint32_t>(encoded[body.size() + i]) << (8 * i);
        }
        const std::uint32_t computed = fletcher32(body);
        if (stored != computed) {
            throw RecordingError(fmt::format("checksum is {:08x}, its data give {:08x}", stored, computed));
        }
        encoded = body;
    }

    const bool hasShuffle = m_state->compression != Compression::None && applied(0);
    const bool hasDeflate = m_state->compression != Compression::None && applied(m_state->deflateFilter());
    if (hasDeflate) {
        if (!m_state->decompressor) {
            m_state->decompressor.reset(libdeflate_alloc_decompressor());
            if (!m_state->decompressor) {
                throw std::bad_alloc();
            }
        }
        std::span<std::byte> inflated = raw;
        if (hasShuffle) {
            m_state->shuffled.resize(raw.size());
            inflated = m_state->shuffled;
        }
        // A null size pointer makes any other size an error.
        const libdeflate_result result = libdeflate_zlib_decompress(
            m_state->decompressor.get(), encoded.data(), encoded.size(), inflated.data(), inflated.size(), nullptr);
        if (result != LIBDEFLATE_SUCCESS) {
            throw RecordingError(result == LIBDEFLATE_BAD_DATA
                    ? std::string("deflate stream is damaged")
                    : fmt::format("chunk does not inflate to the {} bytes expected", raw.size()));
        }
        encoded = inflated;
    } else if (encoded.size() != raw.size()) {
        throw RecordingError(fmt::format("chunk has {} bytes, expected {}", encoded.size(), raw.size()));
    }
    if (hasShuffle) {
        unshuffleBytes(encoded, elementSize, raw);
    } else if (encoded.data() != raw.data()) {
        std::ranges::copy(encoded, raw.begin());
    }
}

} // namespace kvloupe
