// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <nlohmann/json.hpp>

#include <QElapsedTimer>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace kvloupe {

inline double milliseconds(const QElapsedTimer& timer)
{
    return static_cast<double>(timer.nsecsElapsed()) * 1e-6;
}

/// Processor time of the window's thread: what a frame costs even where other programs hold the machine.
inline double threadMilliseconds()
{
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

struct FrameTime {
    double wall = 0.0;
    double thread = 0.0;
};

inline nlohmann::json quantiles(std::vector<double> times)
{
    std::ranges::sort(times);
    const auto quantile = [&](double share) {
        return times[static_cast<std::size_t>(std::ceil(share * static_cast<double>(times.size() - 1)))];
    };
    return {{"p50", quantile(0.5)}, {"p99", quantile(0.99)}, {"max", times.back()}};
}

inline nlohmann::json summary(const std::vector<FrameTime>& times)
{
    std::vector<double> wall;
    std::vector<double> thread;
    for (const FrameTime& time : times) {
        wall.push_back(time.wall);
        thread.push_back(time.thread);
    }
    return {
        {"frames", times.size()}, {"wall_ms", quantiles(std::move(wall))}, {"thread_ms", quantiles(std::move(thread))}};
}

/// Resident and peak memory of this process, MB.
inline nlohmann::json memory()
{
    nlohmann::json result;
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        std::istringstream words(line);
        std::string name;
        double kilobytes = 0;
        words >> name >> kilobytes;
        if (name == "VmRSS:")
            result["resident_mb"] = kilobytes / 1024.0;
        if (name == "VmHWM:")
            result["peak_mb"] = kilobytes / 1024.0;
    }
    return result;
}

} // namespace kvloupe
