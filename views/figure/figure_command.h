// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/figure_spec.h"

#include <string>
#include <string_view>

namespace kvloupe {

/// A word of a command line, quoted for a POSIX shell where it has to be.
std::string shellWord(std::string_view word);

/// The `kvloupe figure ...` command that makes the same figure.
std::string figureCommandLine(const FigureSpec& spec, std::string_view output);

} // namespace kvloupe
