// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/prompt/span_json.h"

#include "core/error.h"
#include "core/json/shallow_json.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace kvloupe {

namespace {

using Json = nlohmann::json;

constexpr std::size_t largestFile = std::size_t{16} << 20;

std::int64_t integerField(const Json& element, const char* field, std::string_view where,
    std::optional<std::int64_t> missing, std::int64_t low, std::int64_t high)
{
    const auto found = element.find(field);
    if (found == element.end()) {
        if (missing)
            return *missing;
        throw Error(fmt::format("{}: no field \"{}\", expected a whole number", where, field));
    }
    const bool fits = found->is_number_unsigned() ? found->get<std::uint64_t>() <= static_cast<std::uint64_t>(high)
                                                  : found->is_number_integer();
    if (!fits || found->get<std::int64_t>() < low || found->get<std::int64_t>() > high)
        throw Error(fmt::format("{}: field \"{}\": found {}, expected a whole number from {} to {}", where, field,
            found->dump(), low, high));
    return found->get<std::int64_t>();
}

SpanKind kindField(const Json& element, std::string_view where)
{
    const auto found = element.find("kind");
    const auto kind = found != element.end() && found->is_string()
        ? spanKindFromName(found->get_ref<const std::string&>())
        : std::nullopt;
    if (kind)
        return *kind;
    std::vector<std::string_view> names;
    for (int value = 0; value < spanKindCount; ++value)
        names.push_back(spanKindName(static_cast<SpanKind>(value)));
    throw Error(fmt::format("{}: field \"kind\": found {}, expected one of {}", where,
        found == element.end() ? "nothing" : found->dump(-1, ' ', false, Json::error_handler_t::replace),
        fmt::join(names, ", ")));
}

Span spanOf(const Json& element, const std::string& where)
{
    if (!element.is_object())
        throw Error(
            fmt::format("{}: found {}, expected an object with begin, end and kind", where, element.type_name()));
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    Span span;
    span.begin = integerField(element, "begin", where, std::nullopt, 0, most);
    span.end = integerField(element, "end", where, std::nullopt, span.begin, most);
    span.kind = kindField(element, where);
    span.shot = static_cast<std::int32_t>(
        integerField(element, "shot", where, -1, -1, std::numeric_limits<std::int32_t>::max()));
    if (const auto label = element.find("label"); label != element.end()) {
        if (!label->is_string())
            throw Error(fmt::format("{}: field \"label\": found {}, expected a string", where, label->type_name()));
        span.label = label->get<std::string>();
    }
    return span;
}

} // namespace

std::vector<Span> spansFromJson(std::string_view text, std::string_view where)
{
    Json document;
    try {
        document = parseShallowJson(text);
    } catch (const JsonTextError& error) {
        throw Error(fmt::format("{}: {}; expected a list of spans", where, error.what()));
    }
    const bool wrapped = document.is_object() && document.contains("spans");
    const Json& list = wrapped ? document["spans"] : document;
    if (!list.is_array())
        throw Error(fmt::format(
            "{}: found {}, expected a list of spans, or an object with the field \"spans\"", where, list.type_name()));
    std::vector<Span> result;
    for (std::size_t index = 0; index < list.size(); ++index)
        result.push_back(spanOf(list[index], fmt::format("{}: span {}", where, index)));
    return result;
}

std::vector<Span> readSpanFile(const std::filesystem::path& path)
{
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw Error(fmt::format("{}: cannot be opened: {}", path.string(), std::strerror(errno)));
    std::string text;
    std::vector<char> block(std::size_t{1} << 16);
    while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0) {
        text.append(block.data(), static_cast<std::size_t>(file.gcount()));
        if (text.size() > largestFile)
            throw Error(fmt::format("{}: larger than 16 MiB, expected a list of spans", path.string()));
    }
    if (file.bad() || !file.eof())
        throw Error(fmt::format("{}: cannot be read, expected a file", path.string()));
    return spansFromJson(text, path.string());
}

} // namespace kvloupe
