// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace kvloupe {

/// What a JSON text from outside may hold at most.
struct JsonLimits {
    std::size_t bytes = std::size_t{64} << 20;
    int depth = 32;
};

/// Parses a JSON text. Throws CheckpointError that begins with `what` (a file, or a file and a field) for a syntax
/// error, a key that occurs twice in one object, text that is not UTF-8, and anything above the limits.
nlohmann::json parseJson(std::string_view text, const std::string& what, const JsonLimits& limits = {});

/// The same for a whole file, whose root must be an object.
nlohmann::json readJsonObject(const std::filesystem::path& path, const JsonLimits& limits = {});

/// The bytes of a small file. Throws CheckpointError if it cannot be read or is larger than `limit` bytes.
std::string readSmallFile(const std::filesystem::path& path, std::size_t limit);

} // namespace kvloupe
