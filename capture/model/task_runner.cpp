// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/task_runner.h"

#include "capture/model/model_error.h"

#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <utility>

namespace kvloupe {

WorkMeter::WorkMeter(std::function<bool(double)> progress, double total)
    : m_progress(std::move(progress))
    , m_total(total)
    , m_lastReport(std::chrono::steady_clock::now())
{
}

void WorkMeter::advance(double work)
{
    if (!m_progress)
        return;
    const std::lock_guard lock(m_mutex);
    m_done += work;
    const auto now = std::chrono::steady_clock::now();
    if (!m_cancelled && now - m_lastReport >= std::chrono::milliseconds(50)) {
        m_lastReport = now;
        m_cancelled = !m_progress(std::min(1.0, m_done / m_total));
    }
    if (m_cancelled)
        throw Cancelled("cancelled");
}

void WorkMeter::finish()
{
    if (m_progress && !m_progress(1.0))
        throw Cancelled("cancelled");
}

struct TaskRunner::Arena {
    explicit Arena(int threads)
        : arena(threads)
    {
    }

    tbb::task_arena arena;
};

TaskRunner::TaskRunner(int threads)
    : m_arena(std::make_unique<Arena>(
        threads > 0 ? std::min(threads, tbb::info::default_concurrency()) : tbb::info::default_concurrency()))
    , m_slots(m_arena->arena.max_concurrency())
{
}

TaskRunner::~TaskRunner() = default;

void TaskRunner::enter(const std::function<void()>& body)
{
    m_arena->arena.execute(body);
}

void TaskRunner::run(std::int64_t tasks, const std::function<void(std::int64_t task, int slot)>& body)
{
    std::atomic<std::int64_t> next{0};
    const auto work = [&](int slot) {
        for (std::int64_t task = next++; task < tasks && !tbb::is_current_task_group_canceling(); task = next++)
            body(task, slot);
    };
    const int workers = static_cast<int>(std::min<std::int64_t>(m_slots, tasks));
    if (workers <= 1)
        work(0);
    else
        tbb::parallel_for(0, workers, work, tbb::simple_partitioner());
}

EvenSplit EvenSplit::ofAtMost(std::int64_t size, std::int64_t largest, std::int64_t unit)
{
    const std::int64_t units = (size + unit - 1) / unit;
    const std::int64_t unitsPerPiece = std::max<std::int64_t>(1, largest / unit);
    return {size, std::max<std::int64_t>(1, (units + unitsPerPiece - 1) / unitsPerPiece), unit};
}

std::int64_t EvenSplit::begin(std::int64_t piece) const
{
    const std::int64_t units = (size + unit - 1) / unit;
    return std::min(size, piece * units / pieces * unit);
}

} // namespace kvloupe
