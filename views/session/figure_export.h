// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/figure_data.h"
#include "views/figure/figure_spec.h"

#include <QObject>
#include <QThreadPool>

#include <filesystem>

namespace kvloupe {

class OpenRecording;

/// Writes figures of the open recording: read on its I/O thread, painted and written on a worker.
class FigureExport final : public QObject {
    Q_OBJECT

public:
    /// `recording` outlives this object.
    explicit FigureExport(OpenRecording* recording, QObject* parent = nullptr);
    ~FigureExport() override;

    /// `saved` or `failed` follows; nothing without a recording.
    void save(const FigureSpec& spec, const std::filesystem::path& path);

signals:
    void saved(const QString& path);
    void failed(const QString& message);

private:
    void write(FigureData data, const std::filesystem::path& path);

    OpenRecording* m_recording;
    QThreadPool m_writer;
};

} // namespace kvloupe
