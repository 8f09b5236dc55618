// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method.h"

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// A parameter of a method as `kvloupe methods` lists it and SPEC sets it.
struct ParameterInfo {
    enum class Type { Integer, Real, Boolean, Choice, Text };
    std::string name;
    Type type = Type::Integer;
    std::string defaultValue;
    std::string description;
    double minimum = 0; ///< of Integer and Real, inclusive
    double maximum = 0;
    std::vector<std::string> choices; ///< of Choice; words that an Integer or Real takes beside numbers ("auto")
};
std::string_view parameterTypeName(ParameterInfo::Type type); ///< "integer", "real", "boolean", "choice", "text"

struct PresetInfo {
    std::string name; ///< "kvpress"
    std::map<std::string, std::string> values; ///< parameters that differ from the defaults
    std::string description;
};

/// Values of all parameters, defaults filled in, each checked against its ParameterInfo and brought to one spelling.
using ParameterValues = std::map<std::string, std::string>;

/// One line of the registry: what a method is called, what can be set, how it is built.
struct MethodInfo {
    std::string name;
    std::string title; ///< "SnapKV"
    std::string summary; ///< one sentence
    std::string source; ///< paper and section
    std::vector<ParameterInfo> parameters;
    std::vector<PresetInfo> presets;
    Fidelity fidelity = Fidelity::Exact;
    /// Fills the parts, granularity and fidelity; throws MethodError for values that do not go together. It may replace
    /// words like "auto" in Method::parameters by what they came to.
    std::function<Method(const ParameterValues& values)> make;
    /// Of a wrapper, in place of `make`: builds on the scorer of another method, which its parameter `scorer` names
    /// (`name[@preset]`) and whose parameters are set by dotted keys (`scorer.window`). `inner` has a scorer and is no
    /// wrapper.
    std::function<Method(const ParameterValues& values, const Method& inner)> wrap;
    /// Spec is `name:PATH` instead of `name:key=value,...`; the path is the parameter `path`.
    bool takesPath = false;
};

/// Every method that is built in, in the order of docs/methods.md.
std::span<const MethodInfo> methodRegistry();
/// Throws MethodError with the nearest names for an unknown one.
const MethodInfo& findMethod(std::string_view name);

/// SPEC is `name[@preset][:key=value,...]`; the preset first, explicit keys override. Keys of wrapped scorers are
/// dotted (`scorer.window`). Throws MethodError naming the part that is wrong, what was found, what was expected and
/// the nearest names.
Method parseMethod(std::string_view spec);

} // namespace kvloupe
