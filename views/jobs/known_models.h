// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QByteArray>
#include <QList>
#include <QString>

namespace kvloupe {

/// A model that `kvloupe models` lists.
struct KnownModelName {
    QString name;
    QString state; ///< ready, absent, damaged

    bool operator==(const KnownModelName&) const = default;
};

/// The names in what `kvloupe models --json` prints; entries that are none are left out.
QList<KnownModelName> knownModelsOfJson(const QByteArray& json);

} // namespace kvloupe
