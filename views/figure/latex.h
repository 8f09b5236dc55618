// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QByteArray>
#include <QString>

#include <filesystem>

namespace kvloupe {

struct FigurePage;

/// A figure environment of LaTeX around `graphics`, a file beside it or below: width, a caption to begin with, a label
/// made of the file's name, and where the numbers come from as a comment. Pages wider than one column of a paper are
/// set across both.
QByteArray latexOf(const FigurePage& page, const std::filesystem::path& graphics);

/// A text as LaTeX sets it: signs with a meaning escaped, control characters gone.
QString latexText(const QString& text);

} // namespace kvloupe
