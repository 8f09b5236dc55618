// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/figure_export.h"

#include "views/figure/attention_figure.h"
#include "views/session/open_recording.h"

#include <memory>
#include <utility>

namespace kvloupe {

namespace {

/// A figure, or one line that says why there is none.
struct FigureOutcome {
    std::shared_ptr<FigureData> data;
    QString problem;
};

} // namespace

FigureExport::FigureExport(OpenRecording* recording, QObject* parent)
    : QObject(parent)
    , m_recording(recording)
{
    m_writer.setMaxThreadCount(1);
}

FigureExport::~FigureExport()
{
    m_writer.waitForDone(); // what was asked for is written, even if the window goes
}

void FigureExport::save(const FigureSpec& spec, const std::filesystem::path& path)
{
    if (!m_recording->isOpen())
        return;
    m_recording->source()->run<FigureOutcome>(
        this, RecordingSource::Priority::Immediate,
        [spec](RecordingAccess& access) {
            FigureOutcome outcome;
            try {
                outcome.data = std::make_shared<FigureData>(gatherFigure(access.recording, access.tiles, spec));
            } catch (const std::exception& error) {
                outcome.problem = QString::fromUtf8(error.what());
            }
            return outcome;
        },
        [this, path](const FigureOutcome& outcome) {
            if (outcome.data)
                m_writer.start([this, path, data = outcome.data] { write(std::move(*data), path); });
            else
                emit failed(outcome.problem);
        });
}

/// On the writer's thread; signals reach the window through its event loop.
void FigureExport::write(FigureData data, const std::filesystem::path& path)
{
    try {
        AttentionFigure(std::move(data)).save(path);
    } catch (const std::exception& error) {
        emit failed(QString::fromUtf8(error.what()));
        return;
    }
    emit saved(QString::fromStdString(path.string()));
}

} // namespace kvloupe
