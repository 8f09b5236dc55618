// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/session/session_file.h"

#include <QObject>
#include <QTimer>
#include <QUndoStack>

#include <filesystem>
#include <vector>

namespace kvloupe {

class OpenRecording;

/// What a person adds to the open recording: every edit can be undone, and is saved beside the recording a moment
/// later. The recording itself is never written.
///
/// A session file that cannot be read, or is of another recording, is left alone: edits then go to a file of their own,
/// whose name carries the beginning of the recording's uuid.
class Session final : public QObject {
    Q_OBJECT

public:
    /// `recording` outlives this object.
    explicit Session(OpenRecording* recording, QObject* parent = nullptr);
    /// Saves what is not saved yet.
    ~Session() override;

    /// Gives the sample in view other shots, as one step of undo called `what`. Ranges that do not fit are refused with
    /// `failed`.
    void setShots(std::vector<TokenRange> shots, const QString& what);
    /// The shots of the recording again.
    void resetShots();
    bool hasOwnShots() const; ///< of the sample in view

    const std::vector<HeadSet>& headSets() const { return m_contents.headSets; }
    /// Other named sets of heads, as one step of undo called `what`.
    void setHeadSets(std::vector<HeadSet> sets, const QString& what);

    QUndoStack* undoStack() { return &m_undo; }
    /// Where the session lies, or will once there is something to save; empty without a recording.
    const std::filesystem::path& path() const { return m_path; }
    bool isSaved() const { return !m_autosave.isActive(); }
    void saveNow();

signals:
    void headSetsChanged();
    void saved(const QString& path);
    void failed(const QString& message);

private:
    class ShotCommand;
    class HeadSetCommand;
    void begin();
    void end();
    void apply(ShotEdits edits);

    OpenRecording* m_recording;
    SessionContents m_contents;
    std::filesystem::path m_path;
    std::vector<SampleInfo> m_samples; ///< of the recording the session is of, which may be closed when it is saved
    QUndoStack m_undo;
    QTimer m_autosave;
};

} // namespace kvloupe
