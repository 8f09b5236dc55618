// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/chooser.h"
#include "core/methods/keep_set.h"
#include "core/methods/method_registry.h"
#include "core/methods/pooling.h"
#include "core/methods/scorer.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace kvloupe {

/// Typed reading of values that were checked against their ParameterInfo; anything else is a programming error and
/// throws std::logic_error.
std::int64_t integerValue(const ParameterValues& values, const std::string& name);
double realValue(const ParameterValues& values, const std::string& name);
bool booleanValue(const ParameterValues& values, const std::string& name);
Granularity granularityValue(const ParameterValues& values, const std::string& name);
GroupReduction reductionValue(const ParameterValues& values, const std::string& name);
TokenPooling poolingValue(const ParameterValues& values, const std::string& name);
BudgetRule budgetRule(const ParameterValues& values); ///< of budgetRoundingParameter()

/// Parameters that several methods share, so that they are named and explained once.
ParameterInfo granularityParameter(std::string defaultValue);
ParameterInfo reductionParameter();
ParameterInfo budgetRoundingParameter();

/// Fills in defaults and the preset, lets `explicitValues` override, checks every value and brings it to one spelling.
/// Throws MethodError.
ParameterValues resolveParameters(
    const MethodInfo& method, std::string_view preset, const ParameterValues& explicitValues, std::string_view spec);

} // namespace kvloupe
