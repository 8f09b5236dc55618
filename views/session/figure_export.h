// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/figure/figure_spec.h"

#include <QObject>

#include <filesystem>

namespace kvloupe {

class OpenRecording;

/// Writes figures of the open recording: read on its I/O thread, painted and written on the window's.
class FigureExport final : public QObject {
    Q_OBJECT

public:
    /// `recording` outlives this object.
    explicit FigureExport(OpenRecording* recording, QObject* parent = nullptr);

    /// `saved` or `failed` follows; nothing without a recording.
    void save(const FigureSpec& spec, const std::filesystem::path& path);

signals:
    void saved(const QString& path);
    void failed(const QString& message);

private:
    OpenRecording* m_recording;
};

} // namespace kvloupe
