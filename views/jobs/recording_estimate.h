// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QByteArray>
#include <QString>
#include <QStringList>

#include <cstdint>
#include <optional>

namespace kvloupe {

/// What `kvloupe capture --estimate --json` says of a recording.
struct RecordingEstimate {
    QString record; ///< full, qk, stats
    std::int64_t fileBytes = 0; ///< before compression
    std::int64_t memoryBytes = 0;
    std::optional<double> seconds; ///< of the forward passes

    bool operator==(const RecordingEstimate&) const = default;
};

/// Nothing if it is not such an answer.
std::optional<RecordingEstimate> estimateOfJson(const QByteArray& json);

/// What the machine has left; nothing where it cannot be told.
struct FreeResources {
    std::optional<std::int64_t> diskBytes; ///< where the file is to lie
    std::optional<std::int64_t> memoryBytes;
};
FreeResources freeResources(const QString& file);

/// One line: size, memory, time, what is free.
QString estimateText(const RecordingEstimate& estimate, const FreeResources& free);
/// What will not fit, one line each.
QStringList estimateWarnings(const RecordingEstimate& estimate, const FreeResources& free);

} // namespace kvloupe
