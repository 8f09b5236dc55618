// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// Writes GGUF files for tests, right or wrong on purpose. Numbers of types are those of the format.
class GgufBuilder {
public:
    std::uint32_t version = 3;
    std::uint64_t alignment = 32;
    std::string magic = "GGUF";

    template <typename Number> static std::string raw(Number value)
    {
        std::string bytes(sizeof value, '\0');
        std::memcpy(bytes.data(), &value, sizeof value);
        return bytes;
    }
    static std::string text(std::string_view value) { return raw<std::uint64_t>(value.size()) + std::string(value); }

    GgufBuilder& add(std::string_view key, std::uint32_t type, const std::string& payload)
    {
        m_metadata.push_back({std::string(key), text(key) + raw(type) + payload});
        return *this;
    }
    GgufBuilder& add(std::string_view key, std::uint32_t value) { return add(key, 4, raw(value)); }
    GgufBuilder& add(std::string_view key, float value) { return add(key, 6, raw(value)); }
    GgufBuilder& add(std::string_view key, bool value) { return add(key, 7, std::string(1, value ? '\1' : '\0')); }
    GgufBuilder& add(std::string_view key, const char* value) { return add(key, 8, text(value)); }
    GgufBuilder& add(std::string_view key, const std::string& value) { return add(key, 8, text(value)); }
    GgufBuilder& add(std::string_view key, const std::vector<std::string>& values)
    {
        std::string payload = raw<std::uint32_t>(8) + raw<std::uint64_t>(values.size());
        for (const std::string& value : values)
            payload += text(value);
        return add(key, 9, payload);
    }
    GgufBuilder& add(std::string_view key, const std::vector<float>& values)
    {
        std::string payload = raw<std::uint32_t>(6) + raw<std::uint64_t>(values.size());
        for (const float value : values)
            payload += raw(value);
        return add(key, 9, payload);
    }
    GgufBuilder& add(std::string_view key, const std::vector<std::int32_t>& values)
    {
        std::string payload = raw<std::uint32_t>(5) + raw<std::uint64_t>(values.size());
        for (const std::int32_t value : values)
            payload += raw(value);
        return add(key, 9, payload);
    }
    GgufBuilder& remove(std::string_view key)
    {
        std::erase_if(m_metadata, [&](const Entry& entry) { return entry.key == key; });
        return *this;
    }

    struct Tensor {
        std::string name;
        std::vector<std::uint64_t> dimensions; ///< the fastest first
        std::uint32_t type = 0;
        std::string data;
        std::int64_t offset = -1; ///< -1: behind the one before
    };
    std::vector<Tensor> tensors;

    Tensor& tensor(std::string_view name)
    {
        for (Tensor& candidate : tensors)
            if (candidate.name == name)
                return candidate;
        return tensors.emplace_back(Tensor{std::string(name), {}, 0, {}, -1});
    }

    /// Counts that the header claims; -1: the truth.
    std::int64_t claimedTensors = -1;
    std::int64_t claimedMetadata = -1;

    /// Bytes in front of the tensor data.
    std::string header() const
    {
        std::string bytes = magic + raw(version)
            + raw(static_cast<std::uint64_t>(
                claimedTensors < 0 ? static_cast<std::int64_t>(tensors.size()) : claimedTensors))
            + raw(static_cast<std::uint64_t>(
                claimedMetadata < 0 ? static_cast<std::int64_t>(m_metadata.size()) : claimedMetadata));
        for (const Entry& entry : m_metadata)
            bytes += entry.bytes;
        std::uint64_t next = 0;
        for (const Tensor& one : tensors) {
            bytes += text(one.name) + raw(static_cast<std::uint32_t>(one.dimensions.size()));
            for (const std::uint64_t size : one.dimensions)
                bytes += raw(size);
            bytes += raw(one.type) + raw(one.offset < 0 ? next : static_cast<std::uint64_t>(one.offset));
            next = aligned(next + one.data.size());
        }
        return bytes;
    }

    std::string bytes() const
    {
        std::string all = header();
        const auto dataBegin = aligned(all.size());
        all.resize(dataBegin);
        for (const Tensor& one : tensors) {
            all += one.data;
            all.resize(dataBegin + aligned(all.size() - dataBegin));
        }
        return all;
    }

    void write(const std::filesystem::path& path) const
    {
        const std::string all = bytes();
        std::ofstream(path, std::ios::binary).write(all.data(), static_cast<std::streamsize>(all.size()));
    }

private:
    struct Entry {
        std::string key;
        std::string bytes;
    };

    std::uint64_t aligned(std::uint64_t size) const { return (size + alignment - 1) / alignment * alignment; }

    std::vector<Entry> m_metadata;
};

} // namespace kvloupe
