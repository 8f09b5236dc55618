// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QString>
#include <QStringList>

namespace kvloupe {

/// `kvloupe` and its arguments as one would type them into a POSIX shell. For people: nothing of ours runs it.
QString kvloupeCommandLine(const QStringList& arguments);

} // namespace kvloupe
