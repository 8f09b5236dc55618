// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace kvloupe {

/// Runs a Python program that nobody has read, as a model wrote it.
///
/// It runs in a process of its own without network, without other processes (it can start threads, not programs), in
/// namespaces of its own, with every file read-only save a small folder in memory, and within limits on processor time,
/// wall time, memory, file size and open files. A seccomp filter refuses sockets, new processes, tracing and mounting.
/// When it ends or its time is up everything that it started ends with it.
class IsolatedRun {
public:
    enum class Isolation {
        Bubblewrap, ///< the program bwrap
        Namespaces, ///< user, mount, process, network and IPC namespaces of our own
    };

    struct Limits {
        std::chrono::milliseconds wall{10'000};
        std::int64_t cpuSeconds = 8;
        std::int64_t memoryBytes = std::int64_t{512} << 20;
        std::int64_t fileBytes = std::int64_t{8} << 20;
        std::int64_t scratchBytes = std::int64_t{16} << 20; ///< the folder /tmp of the program
        std::size_t outputBytes = 64 << 10; ///< kept; what comes after is read and dropped
    };

    struct Result {
        bool timedOut = false; ///< the wall time was up
        int status = -1; ///< exit status, 128 + signal if a signal ended it
        std::string output; ///< standard output and error together, its first outputBytes bytes

        bool succeeded() const { return !timedOut && status == 0; }
        /// The last line that is not blank.
        std::string lastLine() const;
    };

    /// Finds python3 and a way to isolate, bubblewrap first, by running an empty program in it. Throws TaskError that
    /// says what is missing.
    IsolatedRun()
        : IsolatedRun(Limits{})
    {
    }
    explicit IsolatedRun(const Limits& limits);
    /// The same with a given way.
    IsolatedRun(const Limits& limits, Isolation isolation);

    Isolation isolation() const { return m_isolation; }

    /// Runs a program text (its standard input holds the text itself) and waits for it. Throws TaskError if the process
    /// cannot be made or isolated.
    Result python(std::string_view program) const;

private:
    Limits m_limits;
    Isolation m_isolation = Isolation::Namespaces;
    std::filesystem::path m_python;
    std::filesystem::path m_bubblewrap;
};

} // namespace kvloupe
