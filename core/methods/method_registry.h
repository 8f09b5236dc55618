// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method.h"

#include <functional>
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
    double minimum = 0;
    double maximum = 0;
    std::vector<std::string> choices;
};

struct PresetInfo {
    std::string name; ///< "kvpress"
    std::map<std::string, std::string> values; ///< parameters that differ from the defaults
    std::string description;
};

/// One line of the registry: what a method is called, what can be set, how it is built.
struct MethodInfo {
    std::string name;
    std::string title; ///< "SnapKV"
    std::string summary; ///< one sentence
    std::string source; ///< paper and section
    std::vector<ParameterInfo> parameters;
    std::vector<PresetInfo> presets;
    Fidelity fidelity = Fidelity::Exact;
    /// `values` has every parameter, defaults filled in and validated.
    std::function<Method(const std::map<std::string, std::string>& values)> make;
};

/// Every method that is built in, in the order of docs/methods.md.
std::span<const MethodInfo> methodRegistry();
/// Throws MethodError with the nearest names for an unknown one.
const MethodInfo& findMethod(std::string_view name);

/// SPEC is `name[@preset][:key=value,...]`; the preset first, explicit keys override. Throws MethodError naming the part that is wrong,
/// what was found, what was expected and the nearest names.
Method parseMethod(std::string_view spec);

} // namespace kvloupe
