// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tasks/item_draws.h"
#include "capture/tasks/task.h"

#include <fmt/format.h>
#include <nlohmann/json_fwd.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// The text of a data file, unpacked if it is gzip (told by its first bytes), without a byte order mark.
///
/// Throws TaskError naming the file if it cannot be read, is empty, has more than 1 GiB (unpacked: 256 MiB), is damaged
/// gzip or not UTF-8.
std::string readDataText(const std::filesystem::path& file);

/// Where in a file we are, for messages: "gsm8k.jsonl line 3".
struct DataPlace {
    std::string text;

    /// Throws TaskError "PLACE: FIELD: found ..., expected ...".
    [[noreturn]] void fail(std::string_view field, std::string_view found, std::string_view expected) const;
    /// A string that is not blank.
    std::string string(const nlohmann::json& object, const char* field) const;
    /// A member of any type; fails if `object` is no object or lacks it.
    const nlohmann::json& member(const nlohmann::json& object, const char* field) const;
};

/// Calls `take(object, place, line)` for every line that is not blank. Throws TaskError for a line that is no JSON
/// object, and if there is none.
void readJsonLines(const std::filesystem::path& file,
    const std::function<void(const nlohmann::json& object, const DataPlace& place, std::int64_t line)>& take);

/// What a run asks and what its examples are made of.
template <typename Record> struct DataSelection {
    std::vector<Record> shots;
    std::vector<Record> asked;
};

/// Examples are the first n records of the second file where there is one, else the first n of the data, which are held
/// out. The rest is asked in its order, or for a seed other than 0 in a random one. Throws TaskError if there are too
/// few records.
template <typename Record>
DataSelection<Record> selectRecords(std::vector<Record> data, std::vector<Record> second, const TaskOptions& options)
{
    const auto shots = static_cast<std::size_t>(options.shots.value_or(0));
    DataSelection<Record> result;
    std::vector<Record>& from = options.shotData.empty() ? data : second;
    if (from.size() < shots)
        throw TaskError(fmt::format("{}: found {} records, expected at least {} for the examples",
            (options.shotData.empty() ? options.data : options.shotData).string(), from.size(), shots));
    result.shots.assign(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(shots));
    if (options.shotData.empty())
        data.erase(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(shots));
    if (data.empty())
        throw TaskError(fmt::format(
            "{}: no record is left to ask: the first {} are held out as examples", options.data.string(), shots));
    const std::size_t count
        = options.samples == 0 ? data.size() : std::min(data.size(), static_cast<std::size_t>(options.samples));
    const IndexPermutation order(data.size(), options.seed, "data");
    for (std::size_t i = 0; i < count; ++i)
        result.asked.push_back(data[options.seed == 0 ? i : static_cast<std::size_t>(order[i])]);
    return result;
}

} // namespace kvloupe
