// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace kvloupe {

/// The real model the tests hold the program to: KVLOUPE_TEST_MODEL, else the cache that `kvloupe models fetch` fills.
/// Empty if there is none.
inline std::filesystem::path testModelPath()
{
    const auto variable = [](const char* name) {
        const char* const value = std::getenv(name);
        return std::string(value == nullptr ? "" : value);
    };
    const std::string cache = variable("XDG_CACHE_HOME");
    const std::filesystem::path own = variable("KVLOUPE_TEST_MODEL");
    const std::filesystem::path known
        = (cache.empty() ? std::filesystem::path(variable("HOME")) / ".cache" : std::filesystem::path(cache))
        / "kvloupe/models/SmolLM2-135M-Instruct.Q4_1.gguf";
    for (const auto& path : {own, known})
        if (!path.empty() && std::filesystem::exists(path))
            return path;
    return {};
}

} // namespace kvloupe

/// Skips the running test where the real model is absent.
#define KVLOUPE_SKIP_WITHOUT_TEST_MODEL()                                                                              \
    do {                                                                                                               \
        if (kvloupe::testModelPath().empty())                                                                          \
            GTEST_SKIP()                                                                                               \
                << "SmolLM2-135M-Instruct.Q4_1.gguf is not here: run `kvloupe models fetch smollm2-135m-instruct` or " \
                   "set KVLOUPE_TEST_MODEL";                                                                           \
    } while (false)
