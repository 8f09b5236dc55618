// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/method_registry.h"

#include "core/methods/full.h"
#include "core/methods/h2o.h"
#include "core/methods/nearest_names.h"
#include "core/methods/parameter_values.h"
#include "core/methods/random.h"
#include "core/methods/snapkv.h"
#include "core/methods/streaming_llm.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace kvloupe {

namespace {

bool isName(std::string_view text, std::string_view extra)
{
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || extra.find(c) != std::string_view::npos;
    });
}

/// The parts of `name[@preset][:key=value,...]`, not yet looked up.
struct SpecParts {
    std::string_view name;
    std::string_view preset;
    ParameterValues values;
};

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

} // namespace

std::string_view parameterTypeName(ParameterInfo::Type type)
{
    switch (type) {
    case ParameterInfo::Type::Integer:
        return "integer";
    case ParameterInfo::Type::Real:
        return "real";
    case ParameterInfo::Type::Boolean:
        return "boolean";
    case ParameterInfo::Type::Choice:
        return "choice";
    case ParameterInfo::Type::Text:
        return "text";
    }
    return "";
}

std::span<const MethodInfo> methodRegistry()
{
    static const std::vector<MethodInfo> methods
        = {fullMethod(), streamingLlmMethod(), h2oMethod(), snapKvMethod(), randomMethod()};
    return methods;
}

const MethodInfo& findMethod(std::string_view name)
{
    std::vector<std::string> names;
    for (const MethodInfo& method : methodRegistry()) {
        if (method.name == name)
            return method;
        names.push_back(method.name);
    }
    throw MethodError(fmt::format(
        "unknown method '{}', expected one of {}{}", shownName(name), fmt::join(names, ", "), didYouMean(name, names)));
}

Method parseMethod(std::string_view spec)
{
    const SpecParts parts = splitSpec(spec);
    const MethodInfo& info = findMethod(parts.name);
    for (const auto& [key, value] : parts.values)
        if (key.find('.') != std::string::npos)
            throw MethodError(fmt::format("method '{}': key '{}' is for a wrapped scorer, and {} wraps none",
                shownName(spec), shownName(key), info.name));

    ParameterValues values = resolveParameters(info, parts.preset, parts.values, shownName(spec));
    Method method = info.make(values);
    method.parameters.merge(values); // what the method came to itself stands
    method.name = info.name;
    method.spec = spec;
    method.fidelity = std::max(method.fidelity, info.fidelity);
    return method;
}

} // namespace kvloupe
