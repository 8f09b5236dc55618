// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/child_process.h"

#include "capture/checkpoint/checkpoint_error.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

extern char** environ; // NOLINT(readability-redundant-declaration): POSIX asks the program to declare it

namespace kvloupe {

namespace {

constexpr std::size_t keptOutput = 65536;

class SpawnActions {
public:
    SpawnActions() { posix_spawn_file_actions_init(&m_actions); }
    SpawnActions(const SpawnActions&) = delete;
    SpawnActions& operator=(const SpawnActions&) = delete;
    ~SpawnActions() { posix_spawn_file_actions_destroy(&m_actions); }
    posix_spawn_file_actions_t* get() { return &m_actions; }

private:
    posix_spawn_file_actions_t m_actions{};
};

std::string drain(int descriptor)
{
    std::string output;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return output;
        output.append(buffer.data(), static_cast<std::size_t>(count));
        if (output.size() > 2 * keptOutput)
            output.erase(0, output.size() - keptOutput);
    }
}

} // namespace

std::string ChildResult::lastLine() const
{
    const std::size_t end = output.find_last_not_of(" \r\n\t");
    if (end == std::string::npos)
        return "";
    const std::size_t begin = output.find_last_of('\n', end);
    return output.substr(
        begin == std::string::npos ? 0 : begin + 1, end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

ChildResult runChild(const std::vector<std::string>& arguments)
{
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
        throw CheckpointError(fmt::format("{}: cannot be started: {}", arguments.front(), std::strerror(errno)));
    SpawnActions actions;
    posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(actions.get(), pipe[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(actions.get(), pipe[1], STDERR_FILENO);
    std::vector<std::string> copies = arguments;
    std::vector<char*> pointers;
    for (std::string& argument : copies)
        pointers.push_back(argument.data());
    pointers.push_back(nullptr);

    pid_t child = 0;
    const int error = ::posix_spawnp(&child, pointers.front(), actions.get(), nullptr, pointers.data(), environ);
    ::close(pipe[1]);
    ChildResult result;
    if (error == 0) {
        result.output = drain(pipe[0]);
        int status = 0;
        while (::waitpid(child, &status, 0) < 0 && errno == EINTR) { }
        result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        result.started = true;
    }
    ::close(pipe[0]);
    if (error != 0 && error != ENOENT)
        throw CheckpointError(fmt::format("{}: cannot be started: {}", arguments.front(), std::strerror(error)));
    return result;
}

} // namespace kvloupe
