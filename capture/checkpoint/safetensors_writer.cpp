// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/safetensors_writer.h"

#include "capture/checkpoint/checkpoint_error.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace kvloupe {

namespace {

/// A file that is gone with this object unless it was moved into place.
class NewFile {
public:
    explicit NewFile(const std::filesystem::path& target)
        : m_target(target)
        , m_path(fmt::format("{}.{}.tmp", target.string(), ::getpid()))
        , m_descriptor(::open(m_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666))
    {
        if (m_descriptor < 0)
            fail("cannot be created");
    }
    ~NewFile()
    {
        if (m_descriptor >= 0)
            ::close(m_descriptor);
        if (!m_path.empty())
            ::unlink(m_path.c_str());
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    void write(std::string_view bytes)
    {
        while (!bytes.empty()) {
            const ssize_t written = ::write(m_descriptor, bytes.data(), bytes.size());
            if (written < 0 && errno != EINTR)
                fail("cannot be written");
            bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
        }
    }

    void moveIntoPlace()
    {
        if (::fsync(m_descriptor) != 0 || ::close(std::exchange(m_descriptor, -1)) != 0)
            fail("cannot be written");
        if (::rename(m_path.c_str(), m_target.c_str()) != 0)
            fail("cannot be put into place");
        m_path.clear();
    }

private:
    [[noreturn]] void fail(std::string_view problem) const
    {
        throw CheckpointError(fmt::format("{}: {}: {}", m_target.string(), problem, std::strerror(errno)));
    }

    std::filesystem::path m_target;
    std::filesystem::path m_path;
    int m_descriptor;
};

} // namespace

void writeFileAtomically(const std::filesystem::path& path, std::string_view bytes)
{
    NewFile file(path);
    file.write(bytes);
    file.moveIntoPlace();
}

void writeSafetensors(const std::filesystem::path& path, std::span<const SafetensorsEntry> tensors,
    const std::map<std::string, std::string>& metadata)
{
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    if (!metadata.empty())
        header["__metadata__"] = metadata;
    std::uint64_t end = 0;
    for (const SafetensorsEntry& tensor : tensors) {
        std::uint64_t bytes = safetensorsTypeBytes(tensor.dtype);
        for (const std::int64_t extent : tensor.shape)
            bytes *= static_cast<std::uint64_t>(extent);
        if (bytes == 0 || bytes != tensor.bytes.size())
            throw CheckpointError(fmt::format("{}: tensor {}: found {} bytes to write, its shape and type need {}",
                path.string(), inQuotes(tensor.name), tensor.bytes.size(), bytes));
        if (header.contains(tensor.name))
            throw CheckpointError(fmt::format("{}: tensor {}: was given twice", path.string(), inQuotes(tensor.name)));
        header[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {end, end + bytes}}};
        end += bytes;
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const std::uint64_t length = text.size();

    NewFile file(path);
    file.write({reinterpret_cast<const char*>(&length), sizeof length});
    file.write(text);
    for (const SafetensorsEntry& tensor : tensors)
        file.write({reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size()});
    file.moveIntoPlace();
}

} // namespace kvloupe
