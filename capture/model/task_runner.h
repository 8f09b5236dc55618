// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

namespace kvloupe {

/// How far a long computation has come. Asks the caller's callback at most some twenty times a second, from whichever
/// thread finishes a piece of work, but never from two at once.
class WorkMeter {
public:
    /// `total` in any unit of work; an empty callback reports nothing and never cancels.
    WorkMeter(std::function<bool(double)> progress, double total);

    /// Throws Cancelled as soon as the callback has returned false.
    void advance(double work);
    /// Tells the callback that everything is done.
    void finish();

private:
    std::function<bool(double)> m_progress;
    double m_total;
    std::mutex m_mutex;
    double m_done = 0;
    bool m_cancelled = false;
    std::chrono::steady_clock::time_point m_lastReport;
};

/// Threads of a fixed number that work through lists of tasks in order.
class TaskRunner {
public:
    /// `threads` = 0 means one per core, which is also the most there are.
    explicit TaskRunner(int threads);
    ~TaskRunner();

    /// Calls of one run() use slots [0, slots()); no two at the same time use the same.
    int slots() const { return m_slots; }

    /// Runs `body` on the threads of this runner; run() is called from inside it.
    void enter(const std::function<void()>& body);

    /// body(task, slot) for every task of [0, tasks): the next one goes to the first thread that is free, so that lists
    /// which begin with the expensive tasks end evenly. The first exception stops the rest and is thrown here.
    void run(std::int64_t tasks, const std::function<void(std::int64_t task, int slot)>& body);

private:
    struct Arena;
    std::unique_ptr<Arena> m_arena;
    int m_slots;
};

/// Splits [0, size) into `pieces` nearly equal parts whose bounds are multiples of `unit` (the last one but).
struct EvenSplit {
    std::int64_t size = 0;
    std::int64_t pieces = 1;
    std::int64_t unit = 1;

    /// As few parts as keep each at `largest` or below, which is at least `unit`.
    static EvenSplit ofAtMost(std::int64_t size, std::int64_t largest, std::int64_t unit);

    std::int64_t begin(std::int64_t piece) const;
    std::int64_t end(std::int64_t piece) const { return begin(piece + 1); }
};

} // namespace kvloupe
