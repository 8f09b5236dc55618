// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/recording/recording_cache.h"

#include <fcntl.h>
#include <libdeflate.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>

namespace kvloupe {

namespace {

constexpr std::array<char, 8> fileMagic{'K', 'V', 'L', 'C', 'A', 'C', 'H', 'E'};
constexpr std::uint32_t version = 1;
constexpr std::uint32_t arrayMagic = 0x3159'5241; // "ARY1"; another byte order reads another number
constexpr std::size_t maximumName = 64;

/// First bytes of the file: whose derived arrays follow.
struct FileHeader {
    std::array<char, 8> magic = fileMagic;
    std::uint32_t formatVersion = version;
    std::uint32_t unused = 0;
    std::uint64_t recordingBytes = 0;
    std::int64_t changedNanoseconds = 0;
    std::array<char, 40> uuid{};

    bool operator==(const FileHeader&) const = default;
};
static_assert(sizeof(FileHeader) == 72 && std::is_trivially_copyable_v<FileHeader>);

/// Before every array: `nameBytes` bytes of its name and `count` floats follow.
struct ArrayHeader {
    std::uint32_t magic = arrayMagic;
    std::uint32_t checksum = 0; ///< CRC-32 of sample, layer, name and values
    std::int32_t sample = 0;
    std::int32_t layer = 0;
    std::uint64_t nameBytes = 0;
    std::uint64_t count = 0;
};
static_assert(sizeof(ArrayHeader) == 32 && std::is_trivially_copyable_v<ArrayHeader>);

class Descriptor {
public:
    explicit Descriptor(int descriptor)
        : m_descriptor(descriptor)
    {
    }
    ~Descriptor()
    {
        if (m_descriptor >= 0)
            ::close(m_descriptor); // releases the lock too
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    bool valid() const { return m_descriptor >= 0; }
    int get() const { return m_descriptor; }

    bool read(void* out, std::size_t bytes, std::uint64_t offset) const
    {
        auto* to = static_cast<char*>(out);
        while (bytes > 0) {
            const ssize_t got = ::pread(m_descriptor, to, bytes, static_cast<off_t>(offset));
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                return false;
            to += got;
            bytes -= static_cast<std::size_t>(got);
            offset += static_cast<std::uint64_t>(got);
        }
        return true;
    }
    bool write(const void* data, std::size_t bytes, std::uint64_t offset) const
    {
        const auto* from = static_cast<const char*>(data);
        while (bytes > 0) {
            const ssize_t put = ::pwrite(m_descriptor, from, bytes, static_cast<off_t>(offset));
            if (put < 0 && errno == EINTR)
                continue;
            if (put <= 0)
                return false;
            from += put;
            bytes -= static_cast<std::size_t>(put);
            offset += static_cast<std::uint64_t>(put);
        }
        return true;
    }
    std::uint64_t size() const
    {
        struct stat status { };
        return ::fstat(m_descriptor, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
    }

private:
    int m_descriptor;
};

std::uint32_t checksumOf(const ArrayHeader& header, std::string_view name, std::span<const float> values)
{
    std::uint32_t sum = libdeflate_crc32(0, &header.sample, sizeof header.sample);
    sum = libdeflate_crc32(sum, &header.layer, sizeof header.layer);
    sum = libdeflate_crc32(sum, name.data(), name.size());
    return libdeflate_crc32(sum, values.data(), values.size_bytes());
}

/// The recording's identity, nothing for one that still grows or cannot be looked at.
std::optional<FileHeader> identityOf(const Recording& recording)
{
    struct stat status { };
    if (recording.isPartial() || ::stat(recording.path().c_str(), &status) != 0)
        return std::nullopt;
    FileHeader header;
    header.recordingBytes = static_cast<std::uint64_t>(status.st_size);
    header.changedNanoseconds
        = static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
    const std::string& uuid = recording.info().uuid;
    std::copy_n(uuid.begin(), std::min(uuid.size(), header.uuid.size()), header.uuid.begin());
    return header;
}

} // namespace

struct RecordingCache::State {
    using Key = std::tuple<int, int, std::string>;
    struct Place {
        std::uint64_t offset = 0; ///< of the values
        ArrayHeader header;
    };

    std::filesystem::path path;
    std::optional<FileHeader> identity;
    std::mutex mutex;
    std::map<Key, Place, std::less<>> places;
    std::uint64_t end = 0; ///< behind the last whole array that was seen

    /// Adds the arrays from `end` on to `places`; stops before a torn one. False if the file is not this recording's.
    bool scan(const Descriptor& file)
    {
        const std::uint64_t size = file.size();
        FileHeader header;
        if (!file.read(&header, sizeof header, 0) || !(header == *identity)) {
            places.clear();
            end = 0;
            return false;
        }
        end = std::max<std::uint64_t>(end, sizeof header);
        for (ArrayHeader array; end + sizeof array <= size && file.read(&array, sizeof array, end);) {
            const std::uint64_t rest = size - end - sizeof array;
            if (array.magic != arrayMagic || array.nameBytes == 0 || array.nameBytes > maximumName
                || array.nameBytes > rest || array.count > (rest - array.nameBytes) / sizeof(float))
                break;
            std::string name(array.nameBytes, '\0');
            if (!file.read(name.data(), name.size(), end + sizeof array))
                break;
            const std::uint64_t values = end + sizeof array + array.nameBytes;
            places[{array.sample, array.layer, std::move(name)}] = {values, array};
            end = values + array.count * sizeof(float);
        }
        return true;
    }
};

RecordingCache::RecordingCache(const Recording& recording)
    : m_state(std::make_unique<State>())
{
    m_state->path = recording.path();
    m_state->path += ".kvcache";
    m_state->identity = identityOf(recording);
    if (!m_state->identity)
        return;
    const Descriptor file(::open(m_state->path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.valid())
        m_state->scan(file);
}

RecordingCache::~RecordingCache() = default;
RecordingCache::RecordingCache(RecordingCache&&) noexcept = default;
RecordingCache& RecordingCache::operator=(RecordingCache&&) noexcept = default;

const std::filesystem::path& RecordingCache::path() const
{
    return m_state->path;
}

std::optional<std::vector<float>> RecordingCache::find(
    int sample, int layer, std::string_view name, std::size_t size) const
{
    State::Place place;
    {
        const std::scoped_lock lock(m_state->mutex);
        const auto found = m_state->places.find(State::Key{sample, layer, std::string(name)});
        if (found == m_state->places.end() || found->second.header.count != size)
            return std::nullopt;
        place = found->second;
    }
    const Descriptor file(::open(m_state->path.c_str(), O_RDONLY | O_CLOEXEC));
    FileHeader header; // somebody may have begun it anew since
    if (!file.valid() || !file.read(&header, sizeof header, 0) || !(header == *m_state->identity))
        return std::nullopt;
    std::vector<float> values(size);
    if (!file.read(values.data(), values.size() * sizeof(float), place.offset)
        || checksumOf(place.header, name, values) != place.header.checksum)
        return std::nullopt;
    return values;
}

void RecordingCache::store(int sample, int layer, std::string_view name, std::span<const float> values)
{
    if (!m_state->identity || name.empty() || name.size() > maximumName)
        return;
    const std::scoped_lock lock(m_state->mutex);
    const Descriptor file(::open(m_state->path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!file.valid() || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0)
        return; // cannot be written, or another process is writing it
    if (!m_state->scan(file)) {
        if (::ftruncate(file.get(), 0) != 0 || !file.write(&*m_state->identity, sizeof(FileHeader), 0))
            return;
        m_state->end = sizeof(FileHeader);
    }
    if (m_state->places.contains(State::Key{sample, layer, std::string(name)}))
        return;

    ArrayHeader header;
    header.sample = sample;
    header.layer = layer;
    header.nameBytes = name.size();
    header.count = values.size();
    header.checksum = checksumOf(header, name, values);
    const std::uint64_t begin = m_state->end;
    const std::uint64_t offset = begin + sizeof header + name.size();
    if (offset + values.size_bytes() > maximumBytes)
        return;
    if (!file.write(&header, sizeof header, begin) || !file.write(name.data(), name.size(), begin + sizeof header)
        || !file.write(values.data(), values.size_bytes(), offset)) {
        static_cast<void>(::ftruncate(file.get(), static_cast<off_t>(begin)) != 0); // a torn array is left out anyway
        return;
    }
    // What a torn array left behind must not be read as one that follows this.
    if (::ftruncate(file.get(), static_cast<off_t>(offset + values.size_bytes())) != 0)
        return;
    m_state->end = offset + values.size_bytes();
    m_state->places[{sample, layer, std::string(name)}] = {offset, header};
}

} // namespace kvloupe
