// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace CLI {
class App;
class Option;
} // namespace CLI

namespace kvloupe {

/// What stands for the value of an option: "SPEC", "bar|json|none"; empty for a flag.
std::string valueText(const CLI::Option& option);

/// Breaks lines at blanks so that none is longer than `columns` where a blank allows it.
std::string wrapped(std::string_view text, std::size_t columns);

/// Gives a program and all its commands the look of our --help: lines that fit 100 columns, values as valueText().
void formatHelp(CLI::App& program);

} // namespace kvloupe
