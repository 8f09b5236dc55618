// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <filesystem>

namespace kvloupe {

/// The folder of the running executable, links followed; empty where the system does not tell.
std::filesystem::path programFolder();

/// `../PART` seen from there, in a build folder as once installed: "share/kvloupe/published". It need not exist;
/// empty where programFolder() is.
std::filesystem::path besideProgram(const std::filesystem::path& part);

} // namespace kvloupe
