// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <QObject>
#include <QThreadPool>
#include <QTimer>

#include <filesystem>

namespace kvloupe {

class OpenRecording;

/// Looks whether the open recording has grown: one that is still being made gets its new samples, and becomes the
/// finished file once that is there. The sample in view stays.
class RecordingWatch final : public QObject {
    Q_OBJECT

public:
    static constexpr int pollMilliseconds = 1000;

    /// `recording` outlives this object.
    explicit RecordingWatch(OpenRecording* recording, QObject* parent = nullptr);
    ~RecordingWatch() override;

private:
    struct Growth;
    static Growth look(const std::filesystem::path& path);
    void request();
    void adopt(const std::filesystem::path& path, const Growth& growth);

    OpenRecording* m_recording;
    QTimer m_poll;
    QThreadPool m_worker; ///< folders on slow disks are not read on the window's thread
    bool m_isLooking = false;
    bool m_wasGrowing = false; ///< of the recording that is open
};

} // namespace kvloupe
