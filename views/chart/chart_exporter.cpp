// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/chart/chart_exporter.h"

#include <exception>
#include <utility>

namespace kvloupe {

ChartExporter::ChartExporter(QObject* parent)
    : QObject(parent)
{
    m_worker.setMaxThreadCount(1);
}

ChartExporter::~ChartExporter()
{
    m_worker.waitForDone();
}

void ChartExporter::save(
    Chart chart, const ChartPage& page, const QString& description, const std::filesystem::path& path)
{
    m_worker.start([this, chart = std::move(chart), page, description, path] {
        // Signals reach objects of the window's thread through its event loop.
        try {
            writeChart(chart, page, description, {path});
            emit saved(QString::fromStdString(path.string()));
        } catch (const std::exception& error) {
            emit failed(QString::fromUtf8(error.what()));
        }
    });
}

} // namespace kvloupe
