// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/known_models.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

namespace kvloupe {

QList<KnownModelName> knownModelsOfJson(const QByteArray& json)
{
    QList<KnownModelName> models;
    for (const QJsonValue& value : QJsonDocument::fromJson(json).array()) {
        const QString name = value[QLatin1String("name")].toString();
        if (!name.isEmpty() && !name.startsWith(u'-'))
            models.push_back({name, value[QLatin1String("state")].toString()});
    }
    return models;
}

} // namespace kvloupe
