// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"

#include <string>
#include <string_view>

namespace kvloupe {

/// A model file is missing, damaged, hostile or of a kind that cannot be run. Names the file and the field.
class CheckpointError : public Error {
public:
    using Error::Error;
};

/// Text from a file made safe for a one-line message: in quotes, control and non-ASCII bytes as \xNN, cut after 80
/// bytes.
std::string inQuotes(std::string_view text);

} // namespace kvloupe
