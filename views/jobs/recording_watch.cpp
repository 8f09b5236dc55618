// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/jobs/recording_watch.h"

#include "core/recording/recording_parts.h"
#include "views/session/open_recording.h"

namespace kvloupe {

/// What lies where a recording was opened.
struct RecordingWatch::Growth {
    bool isGrowing = false; ///< a folder of parts
    std::size_t samples = 0; ///< complete ones, of a folder
    std::filesystem::path finished; ///< the file that a folder of parts became; empty = none
};

RecordingWatch::RecordingWatch(OpenRecording* recording, QObject* parent)
    : QObject(parent)
    , m_recording(recording)
{
    m_worker.setMaxThreadCount(1);
    m_poll.setInterval(pollMilliseconds);
    connect(&m_poll, &QTimer::timeout, this, &RecordingWatch::request);
    connect(m_recording, &OpenRecording::closed, this, [this] { m_wasGrowing = false; });
    m_poll.start();
}

RecordingWatch::~RecordingWatch()
{
    m_worker.waitForDone();
}

RecordingWatch::Growth RecordingWatch::look(const std::filesystem::path& path)
{
    std::error_code ignored;
    Growth growth;
    if (std::filesystem::is_regular_file(path, ignored)) {
        growth.finished = path;
        return growth;
    }
    const bool isFolder = path.extension() == ".parts";
    const std::filesystem::path folder = isFolder ? path : partsFolder(path);
    growth.isGrowing = std::filesystem::is_directory(folder, ignored);
    if (growth.isGrowing)
        growth.samples = listParts(folder).size();
    else if (isFolder && std::filesystem::is_regular_file(std::filesystem::path(path).replace_extension(), ignored))
        growth.finished = std::filesystem::path(path).replace_extension();
    return growth;
}

void RecordingWatch::request()
{
    if (m_isLooking || !m_recording->isOpen() || m_recording->isReading())
        return;
    m_isLooking = true;
    m_worker.start([this, path = m_recording->path()] {
        Growth growth;
        try {
            growth = look(path);
        } catch (const std::exception&) {
            // The folder went while it was read: the next look finds the file.
        }
        QMetaObject::invokeMethod(
            this,
            [this, path, growth] {
                m_isLooking = false;
                adopt(path, growth);
            },
            Qt::QueuedConnection);
    });
}

void RecordingWatch::adopt(const std::filesystem::path& path, const Growth& growth)
{
    if (path != m_recording->path() || m_recording->isReading())
        return;
    if (growth.isGrowing) {
        m_wasGrowing = true;
        if (growth.samples > m_recording->samples().size())
            m_recording->lookForSamples();
    } else if (m_wasGrowing && !growth.finished.empty()) {
        m_recording->reloadFrom(growth.finished);
    }
}

} // namespace kvloupe
