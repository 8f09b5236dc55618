// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/chart/chart_painter.h"

#include <QObject>
#include <QThreadPool>

#include <filesystem>

namespace kvloupe {

/// Writes charts to files in the background, one after the other.
class ChartExporter final : public QObject {
    Q_OBJECT

public:
    explicit ChartExporter(QObject* parent = nullptr);
    /// Waits for what was begun.
    ~ChartExporter() override;

    /// `saved` or `failed` follows.
    void save(Chart chart, const ChartPage& page, const QString& description, const std::filesystem::path& path);

signals:
    void saved(const QString& path);
    void failed(const QString& message);

private:
    QThreadPool m_worker;
};

} // namespace kvloupe
