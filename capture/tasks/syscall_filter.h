// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <linux/filter.h>

#include <string_view>
#include <vector>

namespace kvloupe {

/// A seccomp filter under which a program can compute, read files and start threads, but start no process, open no
/// socket, look into no process, change no namespace. What is refused fails with EPERM; a foreign processor mode ends
/// the program.
class SyscallFilter {
public:
    SyscallFilter();

    /// Whether there is a table of system calls for this processor.
    static bool isKnownHere();
    /// Puts the filter on this process for good. Needs "no new privileges". Safe between clone and exec. False: errno.
    bool install() const;
    /// The program as bubblewrap's --seccomp reads it.
    std::string_view bytes() const;

private:
    std::vector<sock_filter> m_program;
};

} // namespace kvloupe
