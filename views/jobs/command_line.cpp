// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/command_line.h"

#include "views/figure/figure_command.h"

namespace kvloupe {

QString kvloupeCommandLine(const QStringList& arguments)
{
    std::string line = "kvloupe";
    for (const QString& argument : arguments)
        line += ' ' + shellWord(argument.toStdString());
    return QString::fromStdString(line);
}

} // namespace kvloupe
