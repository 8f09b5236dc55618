// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QString>
#include <QStringList>

namespace kvloupe {

/// The text, or as much of it as fits in `width` points with an ellipsis.
QString cutText(QString text, double width, double points);
/// In lines of at most `width` points, broken at blanks; a single word that is too long is cut, and so is the last of
/// `most` lines.
QStringList wrappedText(const QString& text, double width, double points, int most = 100);

} // namespace kvloupe
