// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/json/shallow_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace kvloupe {

void refuseJsonDepth(int deepest)
{
    throw JsonTextError(fmt::format("JSON is nested deeper than {} levels", deepest));
}

void refuseJsonText(const nlohmann::json::exception& error)
{
    // What stands in front is the library's own number of the error; what stands behind quotes the input.
    std::string reason = error.what();
    reason = reason.substr(reason.find("] ") == std::string::npos ? 0 : reason.find("] ") + 2).substr(0, 120);
    std::ranges::replace_if(
        reason, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
    throw JsonTextError(fmt::format("is not valid JSON: {}", reason));
}

} // namespace kvloupe
