// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/safetensors_file.h"

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace kvloupe {

/// Puts `bytes` into a file: written to a new file beside it, synced and renamed, so that whoever reads sees the old
/// content or the new, never a part. Throws CheckpointError; the old file is what it was then.
void writeFileAtomically(const std::filesystem::path& path, std::string_view bytes);

/// Writes a safetensors file in the given order of tensors, atomically. Data begins at a multiple of 8 bytes.
/// `metadata` becomes "__metadata__" when it holds anything. Throws CheckpointError if a tensor's bytes do not fit its
/// shape and type, if a name occurs twice, or if the file cannot be written.
void writeSafetensors(const std::filesystem::path& path, std::span<const SafetensorsEntry> tensors,
    const std::map<std::string, std::string>& metadata = {});

} // namespace kvloupe
