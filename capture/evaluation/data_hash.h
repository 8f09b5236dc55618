// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <filesystem>
#include <string>

namespace kvloupe {

/// SHA-256 of a data file. Of a folder: of the text "DIGEST  PATH\n" per file in it and below, in the order of their
/// paths, which is what sha256sum prints. Throws CheckpointError if something cannot be read.
std::string dataSha256(const std::filesystem::path& path);

} // namespace kvloupe
