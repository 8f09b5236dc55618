// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace kvloupe {

/// Files of an adapter's folder; the first two as PEFT names them.
inline constexpr std::string_view adapterConfigFile = "adapter_config.json";
inline constexpr std::string_view adapterWeightsFile = "adapter_model.safetensors";
inline constexpr std::string_view adapterFactsFile = "kvloupe_adapter.json";

/// The last part of a folder's path, which an adapter is called by unless it says otherwise.
inline std::string adapterFolderName(const std::filesystem::path& folder)
{
    const std::filesystem::path path = std::filesystem::absolute(folder).lexically_normal();
    return (path.has_filename() ? path : path.parent_path()).filename().string();
}

} // namespace kvloupe
