// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QString>

namespace kvloupe {

/// The programs that record and evaluate for the window.
struct KvloupeProgram {
    QString path; ///< of kvloupe; empty if there is none
    QString missing; ///< which package is missing, one line; empty if everything is there

    bool canRun() const { return missing.isEmpty(); }
};

/// kvloupe beside the running program, else in PATH; kvloupe-run beside that kvloupe, else in PATH, as kvloupe itself
/// looks for it.
KvloupeProgram findKvloupeProgram();
/// The same with `folder` as the place of the running program.
KvloupeProgram findKvloupeProgram(const QString& folder);

} // namespace kvloupe
