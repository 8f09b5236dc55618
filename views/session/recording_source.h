// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/replay/attention_tiles.h"

#include <QObject>
#include <QPointer>
#include <QString>

#include <any>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

namespace kvloupe {

/// What a job on the I/O thread may touch.
struct RecordingAccess {
    const Recording& recording;
    AttentionTiles& tiles;
};

/// A recording that is open in the window: one I/O thread owns every HDF5 call, the window's thread only paints.
///
/// Jobs are values. Those of higher priority run first, within a priority the newest request runs first (what the eye
/// is on); a job whose context object died, or whose `stale` says so, is dropped before it reads anything.
class RecordingSource : public QObject {
    Q_OBJECT

public:
    enum class Priority { Background, Prefetch, Visible, Immediate };

    /// Starts to open `path`; `opened` or `failed` follows.
    explicit RecordingSource(std::filesystem::path path, QObject* parent = nullptr);
    /// Waits for the job in hand, drops the rest.
    ~RecordingSource() override;

    const std::filesystem::path& path() const;

    /// Runs `work` on the I/O thread and `deliver(result)` on the thread of `context`, unless `context` is gone by
    /// then. An exception in `work` is reported through `failed` and the job is dropped.
    template <typename Result>
    void run(QObject* context, Priority priority, std::function<Result(RecordingAccess&)> work,
        std::function<void(Result)> deliver, std::function<bool()> stale = {})
    {
        post(
            context, priority,
            [work = std::move(work)](
                RecordingAccess& access) { return std::any(std::make_shared<Result>(work(access))); },
            [deliver = std::move(deliver)](
                std::any result) { deliver(std::move(*std::any_cast<std::shared_ptr<Result>>(result))); },
            std::move(stale));
    }

signals:
    void opened();
    /// `message` is one line for a person. The object stays usable: later jobs may still succeed.
    void failed(const QString& message);

private:
    using Work = std::function<std::any(RecordingAccess&)>;
    using Deliver = std::function<void(std::any)>;
    void post(QObject* context, Priority priority, Work work, Deliver deliver, std::function<bool()> stale);

    struct State;
    std::unique_ptr<State> m_state;
};

} // namespace kvloupe
