// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/recording_estimate.h"

#include "core/progress/progress.h"

#include <QCoreApplication>
#include <QFile>
#include <QFileInfo>
#include <QJsonDocument>
#include <QJsonObject>
#include <QLocale>
#include <QStorageInfo>

#include <cmath>

namespace kvloupe {

namespace {

constexpr double mostBytes = 1e18;

struct EstimateText {
    Q_DECLARE_TR_FUNCTIONS(EstimateText)
};

QString size(std::int64_t bytes)
{
    return QLocale().formattedDataSize(bytes, 1, QLocale::DataSizeTraditionalFormat);
}

std::optional<std::int64_t> byteField(const QJsonObject& object, QLatin1String name)
{
    const double value = object[name].toDouble(-1.0);
    return value >= 0.0 && value <= mostBytes ? std::optional(static_cast<std::int64_t>(value)) : std::nullopt;
}

std::optional<std::int64_t> availableMemory()
{
    QFile file(QStringLiteral("/proc/meminfo"));
    if (!file.open(QIODevice::ReadOnly))
        return std::nullopt;
    for (const QByteArray& line : file.readAll().split('\n')) {
        bool isNumber = false;
        if (!line.startsWith("MemAvailable:"))
            continue;
        const qint64 kibibytes = line.mid(13).trimmed().split(' ').front().toLongLong(&isNumber);
        return isNumber ? std::optional<std::int64_t>(kibibytes * 1024) : std::nullopt;
    }
    return std::nullopt;
}

} // namespace

std::optional<RecordingEstimate> estimateOfJson(const QByteArray& json)
{
    const QJsonObject object = QJsonDocument::fromJson(json).object();
    const auto file = byteField(object, QLatin1String("file_bytes"));
    const auto memory = byteField(object, QLatin1String("memory_bytes"));
    if (!file || !memory)
        return std::nullopt;
    RecordingEstimate estimate{object[QLatin1String("record")].toString(), *file, *memory, std::nullopt};
    const double seconds = object[QLatin1String("seconds")].toDouble(-1.0);
    if (seconds >= 0.0 && std::isfinite(seconds))
        estimate.seconds = seconds;
    return estimate;
}

FreeResources freeResources(const QString& file)
{
    const QStorageInfo storage(QFileInfo(file).absolutePath());
    FreeResources free;
    if (storage.isValid() && storage.bytesAvailable() >= 0)
        free.diskBytes = storage.bytesAvailable();
    free.memoryBytes = availableMemory();
    return free;
}

QString estimateText(const RecordingEstimate& estimate, const FreeResources& free)
{
    QStringList parts{EstimateText::tr("File: at most %1 (%2)").arg(size(estimate.fileBytes), estimate.record),
        EstimateText::tr("memory: %1").arg(size(estimate.memoryBytes))};
    if (estimate.seconds)
        parts << EstimateText::tr("forward passes: %1").arg(QString::fromStdString(durationText(*estimate.seconds)));
    if (free.diskBytes)
        parts << EstimateText::tr("free on the disk: %1").arg(size(*free.diskBytes));
    return parts.join(QStringLiteral("; "));
}

QStringList estimateWarnings(const RecordingEstimate& estimate, const FreeResources& free)
{
    QStringList warnings;
    if (free.diskBytes && estimate.fileBytes > *free.diskBytes)
        warnings << EstimateText::tr(
            "The disk has %1 left, the file may need %2: record less (queries and keys, fewer layers), or "
            "choose another folder")
                        .arg(size(*free.diskBytes), size(estimate.fileBytes));
    if (free.memoryBytes && estimate.memoryBytes > *free.memoryBytes)
        warnings << EstimateText::tr("The machine has %1 of memory left, the run needs %2")
                        .arg(size(*free.memoryBytes), size(estimate.memoryBytes));
    return warnings;
}

} // namespace kvloupe
