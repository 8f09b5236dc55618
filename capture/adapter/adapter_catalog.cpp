// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/checkpoint_error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace kvloupe {

namespace {

std::filesystem::path shippedFolder()
{
    std::error_code error;
    const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
    return (program.parent_path() / ".." / "share" / "kvloupe" / "adapters").lexically_normal();
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
