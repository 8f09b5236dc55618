// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QStringList>

namespace kvloupe {

/// Families of the fonts that come with the program, text first, then signs: figures are set in them, so that their
/// bytes do not depend on the fonts of a machine. Needs a QGuiApplication; any thread.
const QStringList& figureFontFamilies();

} // namespace kvloupe
