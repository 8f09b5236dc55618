// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"

#include <nlohmann/json.hpp>

#include <string_view>

namespace kvloupe {

/// Why a text is no JSON, or none we take; without the place, which the caller knows.
class JsonTextError : public Error {
public:
    using Error::Error;
};

[[noreturn]] void refuseJsonDepth(int deepest);
[[noreturn]] void refuseJsonText(const nlohmann::json::exception& error);

/// Parses JSON from outside; `Json` is nlohmann::json or ordered_json. Nesting is bounded because printing a value for
/// a message recurses. Throws JsonTextError for text that is not JSON, for numbers beyond double precision's range and
/// for nesting deeper than `deepest` levels.
template <typename Json = nlohmann::json> Json parseShallowJson(std::string_view text, int deepest = 16)
{
    const auto checkDepth = [deepest](int depth, typename Json::parse_event_t event, Json&) {
        if (depth >= deepest
            && (event == Json::parse_event_t::array_start || event == Json::parse_event_t::object_start))
            refuseJsonDepth(deepest);
        return true;
    };
    try {
        return Json::parse(text, checkDepth);
    } catch (const typename Json::exception& error) {
        refuseJsonText(error);
    }
}

} // namespace kvloupe
