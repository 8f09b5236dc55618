// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/results/result_row.h"

#include <optional>
#include <string>
#include <vector>

namespace kvloupe {

/// One method at one budget: what every sample of a run is decoded with.
struct ResultBranch {
    std::string method; ///< registry name
    std::string spec;
    std::map<std::string, std::string> parameters;
    std::string budgetKind;
    std::string budget; ///< as written

    bool operator==(const ResultBranch&) const = default;
};

/// What a run was asked to do: the first line of a results file. A run goes on (`--resume`) only with the same.
struct RunHeader {
    std::string suite;
    std::vector<std::string> tasks;
    std::optional<std::int64_t> shots; ///< none = each task's own number
    std::optional<std::int64_t> level;
    std::int64_t samples = 0; ///< per task
    std::uint64_t seed = 0;
    std::optional<std::string> dataSha256;
    ResultModel model;
    bool chat = false;
    std::string compressSpan = "prompt";
    std::string firstToken = "full"; ///< "full", "compressed", or "auto": compressed for tasks that answer at once
    std::optional<std::int64_t> maxNewTokens; ///< none = each item's own limit
    std::optional<std::string> decodeKeep;
    std::vector<ResultBranch> branches; ///< in the order of a sample's rows
    std::map<std::string, std::string> options; ///< whatever else changes results, by the option's name
    std::map<std::string, std::string> versions;
    std::string created; ///< ISO 8601; the only field in which resumed runs may differ
};

/// The header as one JSON object on one line, without a line break.
std::string headerLine(const RunHeader& header);
RunHeader runHeaderFromJson(const nlohmann::json& object, const std::string& where);

/// The first field in which two headers differ, `created` aside, as
/// "branches[2].budget: found "0.2", expected "0.3""; nothing when they are the same.
std::optional<std::string> firstDifference(const RunHeader& found, const RunHeader& expected);

} // namespace kvloupe
