// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/launcher.h"

#include "core/error.h"
#include "core/program/program_folder.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace kvloupe {

namespace {

bool isExecutable(const std::filesystem::path& path)
{
    std::error_code error;
    return std::filesystem::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

std::vector<char*> argumentVector(std::string& name, std::span<std::string> arguments)
{
    std::vector<char*> result{name.data()};
    for (std::string& argument : arguments) {
        result.push_back(argument.data());
    }
    result.push_back(nullptr);
    return result;
}

} // namespace

std::optional<std::filesystem::path> findSibling(std::string_view name)
{
    if (const auto folder = programFolder(); !folder.empty() && isExecutable(folder / name)) {
        return folder / name;
    }
    const char* path = std::getenv("PATH");
    std::string_view rest = path == nullptr ? std::string_view() : std::string_view(path);
    while (!rest.empty()) {
        const auto colon = rest.find(':');
        const std::string_view folder = rest.substr(0, colon);
        rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
        if (!folder.empty() && isExecutable(std::filesystem::path(folder) / name)) {
            return std::filesystem::path(folder) / name;
        }
    }
    return std::nullopt;
}

void executeSibling(const SiblingProgram& sibling, std::string_view command, std::span<char* const> arguments)
{
    const auto path = findSibling(sibling.name);
    if (!path) {
        throw Error(fmt::format("{0}: the program {1}, which {2}, is neither beside kvloupe nor in PATH; install the "
                                "package {1}, or build with -D{3}=ON",
            command, sibling.name, sibling.purpose, sibling.option));
    }
    std::string name = path->string();
    std::vector<char*> vector{name.data()};
    vector.insert(vector.end(), arguments.begin(), arguments.end());
    vector.push_back(nullptr);
    execv(path->c_str(), vector.data());
    throw Error(fmt::format("{}: {} cannot be started: {}", command, path->string(), std::strerror(errno)));
}

std::optional<std::string> outputOf(const std::filesystem::path& program, std::span<const std::string> arguments)
{
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        return std::nullopt;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::string name = program.string();
    std::vector<std::string> copies(arguments.begin(), arguments.end());
    const std::vector<char*> vector = argumentVector(name, copies);
    pid_t child = 0;
    const int spawned = posix_spawn(&child, name.c_str(), &actions, nullptr, vector.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);

    std::string output;
    if (spawned == 0) {
        std::array<char, 4096> buffer{};
        for (;;) {
            const ssize_t count = read(ends[0], buffer.data(), buffer.size());
            if (count < 0 && errno == EINTR) {
                continue;
            }
            if (count <= 0) {
                break;
            }
            output.append(buffer.data(), static_cast<std::size_t>(count));
        }
    }
    close(ends[0]);
    if (spawned != 0) {
        return std::nullopt;
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) { }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? std::optional(output) : std::nullopt;
}

} // namespace kvloupe
