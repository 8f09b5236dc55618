// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <string>
#include <string_view>

namespace kvloupe {

/// A field of a CSV line (RFC 4180), in quotes where it has to be.
std::string csvField(std::string_view text);

} // namespace kvloupe
