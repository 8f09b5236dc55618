// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

namespace kvloupe {

/// While one exists, SIGINT and SIGTERM set a flag instead of ending the program, so that long work can stop at a
/// safe place; a second signal ends the program at once with status 130. Nested guards share the flag.
///
/// The flag is process-wide because signals are; it is cleared when the outermost guard is made.
class InterruptGuard {
public:
    InterruptGuard();
    ~InterruptGuard();
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;

    /// Whether a signal came since the outermost guard was made; stays readable after the guard is gone.
    static bool requested() noexcept;
};

/// Exit status of a program that was interrupted, as shells report SIGINT.
inline constexpr int interruptedStatus = 130;

} // namespace kvloupe
