// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/progress/interrupt.h"

#include <atomic>
#include <csignal>
#include <mutex>
#include <unistd.h>

namespace kvloupe {

namespace {

// A signal handler can reach nothing but static storage.
std::atomic<bool> interruptRequested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void noteInterrupt(int)
{
    if (interruptRequested.exchange(true)) {
        _exit(interruptedStatus);
    }
}

struct Installed {
    std::mutex mutex;
    int guards = 0;
    struct sigaction interrupt { };
    struct sigaction terminate { };
};

Installed& installed()
{
    static Installed state;
    return state;
}

} // namespace

InterruptGuard::InterruptGuard()
{
    Installed& state = installed();
    const std::lock_guard lock(state.mutex);
    if (state.guards++ > 0) {
        return;
    }
    interruptRequested = false;
    struct sigaction action { };
    action.sa_handler = noteInterrupt;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, &state.interrupt);
    sigaction(SIGTERM, &action, &state.terminate);
}

InterruptGuard::~InterruptGuard()
{
    Installed& state = installed();
    const std::lock_guard lock(state.mutex);
    if (--state.guards > 0) {
        return;
    }
    sigaction(SIGINT, &state.interrupt, nullptr);
    sigaction(SIGTERM, &state.terminate, nullptr);
}

bool InterruptGuard::requested() noexcept
{
    return interruptRequested;
}

} // namespace kvloupe
