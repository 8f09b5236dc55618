// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/recording_source.h"

#include <QMetaObject>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

namespace kvloupe {
namespace {

/// Whether a context object is still there, asked on the I/O thread: a QPointer may not be read while its object dies
/// on another thread.
struct ContextLife {
    std::mutex mutex;
    QObject* context = nullptr; // guarded by mutex; null once the context is gone
};

} // namespace

struct RecordingSource::State {
    struct Job {
        std::shared_ptr<ContextLife> life;
        Work work;
        Deliver deliver;
        std::function<bool()> stale;
    };

    explicit State(std::filesystem::path recordingPath)
        : path(std::move(recordingPath))
    {
    }

    std::optional<Job> takeJob(std::stop_token stop)
    {
        std::unique_lock lock(mutex);
        wake.wait(lock, stop, [this] { return hasJob(); });
        if (stop.stop_requested())
            return std::nullopt;
        for (auto queue = queues.rbegin(); queue != queues.rend(); ++queue) {
            if (queue->empty())
                continue;
            Job job = std::move(queue->back());
            queue->pop_back();
            return job;
        }
        return std::nullopt;
    }

    bool hasJob() const
    {
        return std::any_of(queues.begin(), queues.end(), [](const auto& queue) { return !queue.empty(); });
    }

    std::filesystem::path path;
    std::mutex mutex;
    std::condition_variable_any wake;
    std::array<std::deque<Job>, 4> queues; // by priority
    std::unordered_map<const QObject*, std::shared_ptr<ContextLife>> lives;
    std::jthread thread; // last: joins before the rest goes
};

RecordingSource::RecordingSource(std::filesystem::path path, QObject* parent)
    : QObject(parent)
    , m_state(std::make_unique<State>(std::move(path)))
{
    m_state->thread = std::jthread([this](std::stop_token stop) {
        std::optional<Recording> recording;
        std::optional<AttentionTiles> tiles;
        // Signals leave from the thread of this object, in order with the deliveries.
        const auto report = [this](const char* message) {
            QMetaObject::invokeMethod(
                this, [this, text = QString::fromUtf8(message)] { emit failed(text); }, Qt::QueuedConnection);
        };
        const auto open = [&] {
            try {
                recording.emplace(Recording::open(m_state->path));
                tiles.emplace(*recording);
                QMetaObject::invokeMethod(this, &RecordingSource::opened, Qt::QueuedConnection);
            } catch (const std::exception& error) {
                tiles.reset();
                recording.reset();
                report(error.what());
            }
        };
        open();
        while (auto job = m_state->takeJob(stop)) {
            {
                const std::lock_guard lock(job->life->mutex);
                if (!job->life->context)
                    continue;
            }
            if (job->stale && job->stale())
                continue;
            // A recording that grows may not have been readable yet, so a later job is a reason to look again.
            if (!recording)
                open();
            if (!recording)
                continue;
            try {
                RecordingAccess access{*recording, *tiles};
                std::any result = job->work(access);
                const std::lock_guard lock(job->life->mutex);
                if (job->life->context) {
                    QMetaObject::invokeMethod(
                        job->life->context,
                        [deliver = std::move(job->deliver), result = std::move(result)]() mutable {
                            deliver(std::move(result));
                        },
                        Qt::QueuedConnection);
                }
            } catch (const std::exception& error) {
                report(error.what());
            }
        }
    });
}

RecordingSource::~RecordingSource()
{
    m_state->thread.request_stop();
    m_state->thread.join();
}

const std::filesystem::path& RecordingSource::path() const
{
    return m_state->path;
}

void RecordingSource::post(QObject* context, Priority priority, Work work, Deliver deliver, std::function<bool()> stale)
{
    {
        const std::lock_guard lock(m_state->mutex);
        auto& life = m_state->lives[context];
        if (!life) {
            life = std::make_shared<ContextLife>();
            life->context = context;
            connect(
                context, &QObject::destroyed, this,
                [this, context, life] {
                    {
                        const std::lock_guard lifeLock(life->mutex);
                        life->context = nullptr;
                    }
                    const std::lock_guard stateLock(m_state->mutex);
                    m_state->lives.erase(context);
                },
                Qt::DirectConnection);
        }
        m_state->queues[static_cast<std::size_t>(priority)].push_back(
            {life, std::move(work), std::move(deliver), std::move(stale)});
    }
    m_state->wake.notify_one();
}

} // namespace kvloupe
