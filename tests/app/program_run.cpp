// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/app/program_run.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace kvloupe {

namespace {

struct Pipe {
    std::array<int, 2> ends{};

    Pipe()
    {
        if (pipe2(ends.data(), O_CLOEXEC) != 0)
            throw std::runtime_error("no pipe");
    }
    ~Pipe()
    {
        closeEnd(0);
        closeEnd(1);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    void closeEnd(std::size_t end)
    {
        if (ends[end] >= 0)
            close(ends[end]);
        ends[end] = -1;
    }
};

[[noreturn]] void becomeProgram(const std::filesystem::path& program, const std::vector<std::string>& arguments,
    const ProgramRunOptions& options, const Pipe& in, const Pipe& out, const Pipe& err)
{
    dup2(in.ends[0], STDIN_FILENO);
    dup2(err.ends[1], STDERR_FILENO);
    int output = out.ends[1];
    if (!options.outFile.empty())
        output = open(options.outFile.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(output, STDOUT_FILENO);
    for (const auto& [name, value] : options.environment)
        setenv(name.c_str(), value.c_str(), 1);
    std::vector<std::string> copies{program.string()};
    copies.insert(copies.end(), arguments.begin(), arguments.end());
    std::vector<char*> vector;
    for (std::string& copy : copies)
        vector.push_back(copy.data());
    vector.push_back(nullptr);
    execv(program.c_str(), vector.data());
    _exit(127);
}

/// Reads both ends until the program closes them.
void collect(Pipe& out, Pipe& err, ProgramRun& run)
{
    const std::array<std::string*, 2> texts{&run.out, &run.err};
    std::array<pollfd, 2> open{pollfd{out.ends[0], POLLIN, 0}, pollfd{err.ends[0], POLLIN, 0}};
    while (open[0].fd >= 0 || open[1].fd >= 0) {
        if (poll(open.data(), open.size(), -1) < 0 && errno != EINTR)
            break;
        for (std::size_t end = 0; end < open.size(); ++end) {
            if (open[end].fd < 0 || (open[end].revents & (POLLIN | POLLHUP)) == 0)
                continue;
            std::array<char, 65536> buffer{};
            const ssize_t count = read(open[end].fd, buffer.data(), buffer.size());
            if (count > 0)
                texts[end]->append(buffer.data(), static_cast<std::size_t>(count));
            else if (count == 0 || errno != EINTR)
                open[end].fd = -1;
        }
    }
}

} // namespace

ProgramRun runProgramFile(
    const std::filesystem::path& program, const std::vector<std::string>& arguments, const ProgramRunOptions& options)
{
    Pipe in;
    Pipe out;
    Pipe err;
    const pid_t child = fork();
    if (child < 0)
        throw std::runtime_error("no process");
    if (child == 0)
        becomeProgram(program, arguments, options, in, out, err);
    in.closeEnd(0);
    out.closeEnd(1);
    err.closeEnd(1);
    if (write(in.ends[1], options.input.data(), options.input.size()) < 0)
        throw std::runtime_error("no input"); // inputs of tests fit into a pipe
    in.closeEnd(1);

    std::jthread interrupter;
    if (options.interruptWhen)
        interrupter = std::jthread([&](const std::stop_token& ended) {
            while (!ended.stop_requested()) {
                if (options.interruptWhen()) {
                    kill(child, options.interruptWith);
                    return;
                }
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
            }
        });
    ProgramRun run;
    collect(out, err, run);
    interrupter = {}; // before the child is reaped: its number must still be its own
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) { }
    run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return run;
}

ProgramRun runBuilt(
    const std::string& name, const std::vector<std::string>& arguments, const ProgramRunOptions& options)
{
    return runProgramFile(std::filesystem::path(KVLOUPE_BIN_DIR) / name, arguments, options);
}

bool isBuilt(const std::string& name)
{
    return std::filesystem::exists(std::filesystem::path(KVLOUPE_BIN_DIR) / name);
}

} // namespace kvloupe
