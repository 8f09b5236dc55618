// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/checkpoint_error.h"
#include "core/program/program_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace kvloupe {

namespace {

std::filesystem::path shippedFolder()
{
    return besideProgram("share/kvloupe/adapters");
}

} // namespace

std::filesystem::path findAdapter(const std::string& nameOrPath)
{
    std::error_code error;
    if (std::filesystem::exists(nameOrPath, error))
        return nameOrPath;
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(shippedFolder(), error))
        names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    if (std::ranges::find(names, nameOrPath) != names.end())
        return shippedFolder() / nameOrPath;
    throw AdapterError(
        fmt::format("adapter {}: found no such folder, expected one or a shipped adapter ({})", inQuotes(nameOrPath),
            names.empty() ? std::string("none is installed") : fmt::format("{}", fmt::join(names, ", "))));
}

} // namespace kvloupe
