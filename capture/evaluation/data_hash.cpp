// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/evaluation/data_hash.h"

#include "capture/checkpoint/mapped_file.h"
#include "capture/checkpoint/sha256.h"
#include "capture/tasks/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <vector>

namespace kvloupe {

namespace {

std::string fileSha256(const std::filesystem::path& file)
{
    return sha256OfMapping(MappedFile(file).bytes());
}

} // namespace

std::string dataSha256(const std::filesystem::path& path)
{
    std::error_code error;
    if (!std::filesystem::is_directory(path, error))
        return fileSha256(path);
    std::vector<std::filesystem::path> files;
    for (std::filesystem::recursive_directory_iterator entry(path, error), end; entry != end && !error;
         entry.increment(error))
        if (entry->is_regular_file(error))
            files.push_back(entry->path());
    if (error)
        throw TaskError(fmt::format("{}: {}", path.string(), error.message()));
    std::ranges::sort(files);
    std::string text;
    for (const auto& file : files)
        text += fmt::format("{}  {}\n",
            std::filesystem::file_size(file) == 0 ? sha256Hex(std::string_view()) : fileSha256(file),
            file.lexically_relative(path).generic_string());
    return sha256Hex(text);
}

} // namespace kvloupe
