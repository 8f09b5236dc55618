// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/method_registry.h"

#include <string>
#include <string_view>

namespace kvloupe {

/// The parts of a SPEC `name[@preset][:key=value,...]`, not yet looked up.
struct SpecParts {
    std::string name;
    std::string preset; ///< empty = none
    ParameterValues values; ///< as written

    bool operator==(const SpecParts&) const = default;
};

/// Throws MethodError for what is no SPEC. A SPEC of a method that takes a path is not for this function.
SpecParts splitSpec(std::string_view spec);
/// The SPEC of these parts, keys in alphabetical order.
std::string joinSpec(const SpecParts& parts);

} // namespace kvloupe
