// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/method_registry.h"

#include "core/methods/adakv.h"
#include "core/methods/chunkkv.h"
#include "core/methods/criticalkv.h"
#include "core/methods/expected_attention.h"
#include "core/methods/finch.h"
#include "core/methods/full.h"
#include "core/methods/h2o.h"
#include "core/methods/kept_sets.h"
#include "core/methods/keydiff.h"
#include "core/methods/knorm.h"
#include "core/methods/lagkv.h"
#include "core/methods/method_spec.h"
#include "core/methods/nearest_names.h"
#include "core/methods/observed_attention.h"
#include "core/methods/parameter_values.h"
#include "core/methods/pyramidinfer.h"
#include "core/methods/pyramidkv.h"
#include "core/methods/quest.h"
#include "core/methods/random.h"
#include "core/methods/random_shot.h"
#include "core/methods/rkv.h"
#include "core/methods/shotkv.h"
#include "core/methods/simlayerkv.h"
#include "core/methods/snapkv.h"
#include "core/methods/streaming_llm.h"
#include "core/methods/tova.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace kvloupe {

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
        = {fullMethod(), streamingLlmMethod(), h2oMethod(), observedAttentionMethod(), tovaMethod(), snapKvMethod(),
            pyramidKvMethod(), pyramidInferMethod(), chunkKvMethod(), shotKvMethod(), randomMethod(),
            randomShotMethod(), expectedAttentionMethod(), knormMethod(), keyDiffMethod(), lagKvMethod(), adaKvMethod(),
            criticalKvMethod(), rkvMethod(), questMethod(), finchMethod(), simLayerKvMethod(), keptSetsMethod()};
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

namespace {

Method madeFrom(const MethodInfo& info, std::string_view preset, const ParameterValues& given, std::string_view spec);

/// The method whose scorer a wrapper uses, from its resolved `scorer` and the dotted keys of its spec.
Method wrappedMethod(const std::string& scorer, const ParameterValues& dotted, std::string_view spec)
{
    constexpr std::string_view prefix = "scorer.";
    ParameterValues given;
    for (const auto& [key, value] : dotted) {
        if (!key.starts_with(prefix))
            throw MethodError(fmt::format("method '{}': key '{}' is no parameter, expected keys of the wrapped scorer "
                                          "as {}NAME",
                shownName(spec), shownName(key), prefix));
        given.emplace(key.substr(prefix.size()), value);
    }
    const SpecParts parts = splitSpec(scorer);
    const MethodInfo& info = findMethod(parts.name);
    if (info.wrap)
        throw MethodError(
            fmt::format("method '{}': scorer is {}, which wraps a scorer itself", shownName(spec), info.name));
    Method inner = madeFrom(info, parts.preset, given, spec);
    if (!inner.scorer)
        throw MethodError(fmt::format("method '{}': scorer is {}, which ranks nothing, expected a method that scores "
                                      "tokens",
            shownName(spec), info.name));
    return inner;
}

Method madeFrom(const MethodInfo& info, std::string_view preset, const ParameterValues& given, std::string_view spec)
{
    ParameterValues own;
    ParameterValues dotted;
    for (const auto& [key, value] : given)
        (key.find('.') == std::string::npos ? own : dotted).emplace(key, value);
    if (!dotted.empty() && !info.wrap)
        throw MethodError(fmt::format("method '{}': key '{}' is for a wrapped scorer, and {} wraps none",
            shownName(spec), shownName(dotted.begin()->first), info.name));

    ParameterValues values = resolveParameters(info, preset, own, shownName(spec));
    Method method;
    if (info.wrap) {
        const Method inner = wrappedMethod(values.at("scorer"), dotted, spec);
        method = info.wrap(values, inner);
        for (const auto& [name, value] : inner.parameters)
            method.parameters.emplace("scorer." + name, value);
        method.fidelity = std::max(method.fidelity, inner.fidelity);
    } else {
        method = info.make(values);
    }
    method.parameters.merge(values); // what the method came to itself stands
    method.name = info.name;
    method.fidelity = std::max(method.fidelity, info.fidelity);
    return method;
}

} // namespace

Method parseMethod(std::string_view spec)
{
    const std::string_view name = spec.substr(0, spec.find(':'));
    const auto pathTaker = std::ranges::find_if(
        methodRegistry(), [&](const MethodInfo& info) { return info.takesPath && info.name == name; });
    Method method;
    if (pathTaker != methodRegistry().end()) {
        if (spec.size() <= name.size() + 1)
            throw MethodError(fmt::format("method '{}': there is no path, expected {}:PATH", shownName(spec), name));
        method = madeFrom(*pathTaker, "", {{"path", std::string(spec.substr(name.size() + 1))}}, spec);
    } else {
        const SpecParts parts = splitSpec(spec);
        method = madeFrom(findMethod(parts.name), parts.preset, parts.values, spec);
    }
    method.spec = spec;
    return method;
}

} // namespace kvloupe
