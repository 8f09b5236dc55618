// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/method_spec.h"

#include "core/methods/nearest_names.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

namespace {

bool isName(std::string_view text, std::string_view extra)
{
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || extra.find(c) != std::string_view::npos;
    });
}

} // namespace

SpecParts splitSpec(std::string_view spec)
{
    const auto fail = [&](std::string_view reason) {
        return MethodError(
            fmt::format("method '{}': {}, expected name[@preset][:key=value,...]", shownName(spec), reason));
    };
    SpecParts parts;
    const auto colon = spec.find(':');
    const std::string_view head = spec.substr(0, colon);
    const auto at = head.find('@');
    parts.name = head.substr(0, at);
    if (!isName(parts.name, "-"))
        throw fail(parts.name.empty()
                ? std::string("there is no name")
                : fmt::format("the name '{}' has other characters than a-z, 0-9, _ and -", shownName(parts.name)));
    if (at != std::string_view::npos) {
        parts.preset = head.substr(at + 1);
        if (!isName(parts.preset, "-"))
            throw fail(fmt::format("the preset after '@' is '{}'", shownName(parts.preset)));
    }
    if (colon == std::string_view::npos)
        return parts;

    std::string_view rest = spec.substr(colon + 1);
    for (bool more = true; more;) {
        const auto comma = rest.find(',');
        const std::string_view item = rest.substr(0, comma);
        const auto equals = item.find('=');
        if (equals == std::string_view::npos)
            throw fail(fmt::format("'{}' is no key=value", shownName(item)));
        const std::string_view key = item.substr(0, equals);
        const std::string_view value = item.substr(equals + 1);
        const bool dotsInside
            = !key.starts_with('.') && !key.ends_with('.') && key.find("..") == std::string_view::npos;
        if (!isName(key, ".") || !dotsInside)
            throw fail(fmt::format("'{}' is no key", shownName(key)));
        if (value.empty())
            throw fail(fmt::format("key '{}' has no value", shownName(key)));
        if (!parts.values.emplace(key, value).second)
            throw fail(fmt::format("key '{}' is given twice", shownName(key)));
        more = comma != std::string_view::npos;
        if (more)
            rest.remove_prefix(comma + 1);
    }
    return parts;
}

std::string joinSpec(const SpecParts& parts)
{
    std::string spec = parts.name;
    if (!parts.preset.empty())
        spec += '@' + parts.preset;
    char before = ':';
    for (const auto& [key, value] : parts.values) {
        spec += before + key + '=' + value;
        before = ',';
    }
    return spec;
}

} // namespace kvloupe
