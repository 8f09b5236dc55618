// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tasks/isolated_run.h"

#include "capture/tasks/answer_text.h"
#include "capture/tasks/syscall_filter.h"
#include "capture/tasks/task.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace kvloupe {

namespace {

using Clock = std::chrono::steady_clock;

class Descriptor {
public:
    explicit Descriptor(int descriptor = -1)
        : m_descriptor(descriptor)
    {
    }
    Descriptor(Descriptor&& other) noexcept
        : m_descriptor(std::exchange(other.m_descriptor, -1))
    {
    }
    Descriptor& operator=(Descriptor&& other) noexcept
    {
        std::swap(m_descriptor, other.m_descriptor);
        return *this;
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { close(); }
    int get() const { return m_descriptor; }
    void close()
    {
        if (m_descriptor >= 0)
            ::close(m_descriptor);
        m_descriptor = -1;
    }

private:
    int m_descriptor;
};

std::string errorText(int number)
{
    return std::error_code(number, std::generic_category()).message();
}

[[noreturn]] void failed(std::string_view what, int number)
{
    throw TaskError(fmt::format("code cannot be run: {}: {}", what, errorText(number)));
}

/// A file in memory that holds `bytes`, at its beginning.
Descriptor inMemory(const char* name, std::string_view bytes)
{
    Descriptor file(::memfd_create(name, MFD_CLOEXEC));
    if (file.get() < 0)
        failed("memfd_create", errno);
    while (!bytes.empty()) {
        const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
        if (written < 0)
            failed("write", errno);
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    ::lseek(file.get(), 0, SEEK_SET);
    return file;
}

std::pair<Descriptor, Descriptor> makePipe()
{
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        failed("pipe2", errno);
    return {Descriptor(ends[0]), Descriptor(ends[1])};
}

std::filesystem::path findProgram(std::string_view name)
{
    // Not through PATH first: a shim there is often a shell script, and the isolated process can start nothing.
    std::string folders = "/usr/bin:/usr/local/bin:/bin";
    if (const char* const path = std::getenv("PATH"))
        folders += fmt::format(":{}", path);
    for (std::size_t begin = 0; begin <= folders.size();) {
        const std::size_t end = std::min(folders.find(':', begin), folders.size());
        const std::filesystem::path candidate = std::filesystem::path(folders.substr(begin, end - begin)) / name;
        begin = end + 1;
        std::error_code ignored;
        if (candidate.is_absolute() && std::filesystem::is_regular_file(candidate, ignored)
            && ::access(candidate.c_str(), X_OK) == 0)
            return candidate;
    }
    return {};
}

/// Everything that the new process needs, made before it exists: behind clone it may call nothing that takes a lock.
struct Launch {
    bool ownNamespaces = false;
    std::vector<char*> arguments; ///< ends with a null pointer
    std::vector<char*> environment;
    int input = -1;
    int output = -1;
    int report = -1; ///< what went wrong before exec, as a StepError
    std::array<std::pair<int, rlimit>, 6> limits{};
    std::string userMap;
    std::string groupMap;
    std::string scratchOptions;
    const SyscallFilter* filter = nullptr; ///< null = bubblewrap installs it
};

/// struct mount_attr of mount_setattr(2); older C libraries lack it, newer ones have it in two headers.
struct MountAttributes {
    std::uint64_t set = 0;
    std::uint64_t clear = 0;
    std::uint64_t propagation = 0;
    std::uint64_t userNamespace = 0;
};

struct StepError {
    int number = 0;
    std::array<char, 60> step{};
};

[[noreturn]] void stop(const Launch& launch, const char* step)
{
    StepError error;
    error.number = errno;
    for (std::size_t i = 0; i + 1 < error.step.size() && step[i] != '\0'; ++i)
        error.step[i] = step[i];
    [[maybe_unused]] const ssize_t written = ::write(launch.report, &error, sizeof error);
    ::_exit(127);
}

bool writeFile(const char* path, std::string_view text)
{
    const int file = ::open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    const bool done = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(file);
    return done;
}

/// In the new namespaces: nothing can be written but a folder in memory, and /proc shows no other process.
void closeOff(const Launch& launch)
{
    if (!writeFile("/proc/self/setgroups", "deny") && errno != ENOENT)
        stop(launch, "setgroups of the user namespace");
    if (!writeFile("/proc/self/uid_map", launch.userMap))
        stop(launch, "uid_map of the user namespace");
    if (!writeFile("/proc/self/gid_map", launch.groupMap))
        stop(launch, "gid_map of the user namespace");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        stop(launch, "private mounts");
    // No devices either: to root's own files belong the disks, and a read-only mount does not protect those.
    const MountAttributes closed{.set = 0x1 /* read-only */ | 0x2 /* no setuid */ | 0x4 /* no devices */};
    if (::syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &closed, sizeof closed) != 0)
        stop(launch, "read-only mounts (Linux 5.12 or newer)");
    if (::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, launch.scratchOptions.c_str()) != 0)
        stop(launch, "a folder in memory at /tmp");
    // A container may forbid a new /proc; then there is none.
    if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0
        && ::mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "size=4k") != 0)
        stop(launch, "a /proc of its own");
    if (::chdir("/tmp") != 0)
        stop(launch, "the folder /tmp");
}

[[noreturn]] void runChildProcess(const Launch& launch)
{
    ::setsid();
    for (int number = 1; number < NSIG; ++number)
        ::signal(number, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (launch.ownNamespaces)
        closeOff(launch);
    if (::dup2(launch.input, 0) < 0 || ::dup2(launch.output, 1) < 0 || ::dup2(launch.output, 2) < 0)
        stop(launch, "standard streams");
    for (const auto& [resource, limit] : launch.limits)
        if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0)
            stop(launch, "resource limits");
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        stop(launch, "no new privileges");
    if (launch.filter != nullptr && !launch.filter->install())
        stop(launch, "the seccomp filter");
    ::execve(launch.arguments.front(), launch.arguments.data(), launch.environment.data());
    stop(launch, "starting the program");
}

rlimit both(std::int64_t value)
{
    return {static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
}

/// Reads the pipe until it closes or time is up; keeps the first `limit` bytes.
bool drain(int pipe, Clock::time_point deadline, std::size_t limit, std::string& kept)
{
    std::array<char, 16384> buffer{};
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0)
            return false;
        pollfd ready{pipe, POLLIN, 0};
        const int events = ::poll(&ready, 1, static_cast<int>(std::min<std::int64_t>(left, 1000)));
        if (events <= 0)
            continue;
        const ssize_t count = ::read(pipe, buffer.data(), buffer.size());
        if (count == 0)
            return true;
        if (count > 0)
            kept.append(buffer.data(), std::min(static_cast<std::size_t>(count), limit - std::min(limit, kept.size())));
    }
}

/// Waits for a process until time is up, then ends it. The child is the first process of its namespace, or bubblewrap
/// that dies with its own: nothing outlives it.
bool waitFor(pid_t child, Clock::time_point deadline, int& status)
{
    for (;;) {
        const pid_t done = ::waitpid(child, &status, WNOHANG);
        if (done == child)
            return true;
        if (Clock::now() >= deadline)
            break;
        ::usleep(2000);
    }
    ::kill(-child, SIGKILL);
    ::kill(child, SIGKILL);
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) { }
    return false;
}

std::vector<char*> pointers(std::vector<std::string>& texts)
{
    std::vector<char*> result;
    for (std::string& text : texts)
        result.push_back(text.data());
    result.push_back(nullptr);
    return result;
}

std::vector<std::string> bubblewrapArguments(
    const std::filesystem::path& bubblewrap, const IsolatedRun::Limits& limits, int filter)
{
    return {bubblewrap.string(), "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/", "--dev",
        "/dev", "--proc", "/proc", "--size", std::to_string(limits.scratchBytes), "--tmpfs", "/tmp", "--remount-ro",
        "/dev", "--chdir", "/tmp", "--cap-drop", "ALL", "--seccomp", std::to_string(filter), "--"};
}

} // namespace

std::string IsolatedRun::Result::lastLine() const
{
    const std::string_view text = trimmedText(output);
    const std::size_t begin = text.rfind('\n');
    return std::string(trimmedText(begin == std::string_view::npos ? text : text.substr(begin)));
}

IsolatedRun::IsolatedRun(const Limits& limits, Isolation isolation)
    : m_limits(limits)
    , m_isolation(isolation)
    , m_python(findProgram("python3"))
    , m_bubblewrap(findProgram("bwrap"))
{
    if (m_python.empty())
        throw TaskError("code cannot be run: python3 was not found");
    if (!SyscallFilter::isKnownHere())
        throw TaskError("code cannot be run: the seccomp filter is for x86-64 and AArch64 processors only");
    if (isolation == Isolation::Bubblewrap && m_bubblewrap.empty())
        throw TaskError("code cannot be run: bubblewrap (bwrap) was not found");
    const Result result = python("print('isolated')");
    if (!result.succeeded() || result.lastLine() != "isolated")
        throw TaskError(fmt::format("code cannot be run isolated with {}: {}",
            isolation == Isolation::Bubblewrap ? "bubblewrap" : "namespaces of its own",
            result.timedOut ? "python3 did not answer"
                            : fmt::format("status {}: {}", result.status, result.lastLine())));
}

IsolatedRun::IsolatedRun(const Limits& limits)
    : m_limits(limits)
{
    std::string reasons;
    for (const Isolation isolation : {Isolation::Bubblewrap, Isolation::Namespaces}) {
        try {
            *this = IsolatedRun(limits, isolation);
            return;
        } catch (const TaskError& error) {
            reasons += fmt::format("{}{}", reasons.empty() ? "" : "; ", error.what());
        }
    }
    throw TaskError(fmt::format("generated code is not run, because it cannot be isolated here: {}", reasons));
}

IsolatedRun::Result IsolatedRun::python(std::string_view program) const
{
    const bool wrapped = m_isolation == Isolation::Bubblewrap;
    const SyscallFilter filter;
    const Descriptor input = inMemory("program", program);
    const Descriptor filterFile = inMemory("filter", wrapped ? filter.bytes() : std::string_view());
    if (wrapped && ::fcntl(filterFile.get(), F_SETFD, 0) != 0)
        failed("fcntl", errno);
    auto [output, outputEnd] = makePipe();
    auto [report, reportEnd] = makePipe();

    std::vector<std::string> arguments;
    if (wrapped)
        arguments = bubblewrapArguments(m_bubblewrap, m_limits, filterFile.get());
    for (const std::string& argument : {m_python.string(), std::string("-I"), std::string("-B"), std::string("-")})
        arguments.push_back(argument);
    std::vector<std::string> environment{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "PYTHONHASHSEED=0", "HOME=/tmp"};

    Launch launch;
    launch.ownNamespaces = !wrapped;
    launch.arguments = pointers(arguments);
    launch.environment = pointers(environment);
    launch.input = input.get();
    launch.output = outputEnd.get();
    launch.report = reportEnd.get();
    launch.limits = {{{RLIMIT_CPU, both(m_limits.cpuSeconds)}, {RLIMIT_AS, both(m_limits.memoryBytes)},
        {RLIMIT_FSIZE, both(m_limits.fileBytes)}, {RLIMIT_CORE, both(0)}, {RLIMIT_NOFILE, both(64)},
        {RLIMIT_STACK, both(std::int64_t{8} << 20)}}};
    launch.userMap = fmt::format("1000 {} 1", ::geteuid());
    launch.groupMap = fmt::format("1000 {} 1", ::getegid());
    launch.scratchOptions = fmt::format("size={},mode=0777", m_limits.scratchBytes);
    launch.filter = wrapped ? nullptr : &filter;

    const auto deadline = Clock::now() + m_limits.wall;
    const unsigned long spaces
        = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
    // clone itself, not fork and unshare: the child is then the first process of its process namespace, and the kernel
    // ends all others when it ends.
    const long child = ::syscall(SYS_clone, SIGCHLD | (wrapped ? 0UL : spaces), 0L, 0L, 0L, 0L);
    if (child == 0)
        runChildProcess(launch);
    if (child < 0)
        failed("making a process in namespaces of its own", errno);
    const auto process = static_cast<pid_t>(child);
    outputEnd.close();
    reportEnd.close();

    Result result;
    bool inTime = drain(output.get(), deadline, m_limits.outputBytes, result.output);
    int status = 0;
    inTime = waitFor(process, inTime ? deadline : Clock::now(), status) && inTime;
    StepError error;
    if (::read(report.get(), &error, sizeof error) == static_cast<ssize_t>(sizeof error))
        failed(error.step.data(), error.number);
    result.timedOut = !inTime;
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

} // namespace kvloupe
