// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/program/program_folder.h"

#include <system_error>

namespace kvloupe {

std::filesystem::path programFolder()
{
    std::error_code error;
    return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
}

std::filesystem::path besideProgram(const std::filesystem::path& part)
{
    const std::filesystem::path folder = programFolder();
    return folder.empty() ? folder : (folder / ".." / part).lexically_normal();
}

} // namespace kvloupe
