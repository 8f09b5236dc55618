// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/figure_spec.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// Opens the recording of `spec`, makes its figure and writes it to every one of `outputs`, all or an exception. Needs
/// a QGuiApplication.
void writeFigure(const FigureSpec& spec, const std::vector<std::filesystem::path>& outputs);

/// A word of a command line, quoted for a POSIX shell where it has to be.
std::string shellWord(std::string_view word);

/// The `kvloupe figure ...` command that makes the same figure.
std::string figureCommandLine(const FigureSpec& spec, std::string_view output);

} // namespace kvloupe
