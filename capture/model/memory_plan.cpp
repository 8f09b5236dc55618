// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/model/memory_plan.h"

#include "capture/checkpoint/model_estimate.h"
#include "capture/model/model_error.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <thread>

namespace kvloupe {

namespace {

constexpr std::int64_t blockRows = 256; // query rows of attention at a time
constexpr std::uint64_t programBytes = std::uint64_t{180} << 20; // the program and its libraries, most of it LibTorch

/// The number in a file that holds nothing else; nothing for "max" or where there is no such file.
std::optional<std::uint64_t> numberIn(const char* path)
{
    std::uint64_t number = 0;
    std::ifstream file(path);
    return file >> number ? std::optional(number) : std::nullopt;
}

std::uint64_t kernelAvailable()
{
    std::ifstream file("/proc/meminfo");
    std::string key;
    std::uint64_t kibibytes = 0;
    std::string unit;
    while (file >> key >> kibibytes) {
        if (key == "MemAvailable:")
            return kibibytes << 10;
        std::getline(file, unit);
    }
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    const long size = ::sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size)
                                 : std::numeric_limits<std::uint64_t>::max();
}

} // namespace

MemoryNeeds memoryNeeds(const ModelConfig& config, std::int64_t tokens, int threads)
{
    const ModelEstimate estimate = estimateModel(config);
    const auto workers
        = static_cast<std::int64_t>(threads > 0 ? static_cast<unsigned>(threads) : std::thread::hardware_concurrency());
    const std::int64_t heads = std::int64_t{config.numHeads} * config.headDim;
    const std::int64_t keys = std::int64_t{config.numKvHeads} * config.headDim;
    const std::int64_t cache = estimate.cacheBytesPerToken * tokens * 3 / 2; // keys lie there twice
    const std::int64_t pass = 4 * tokens * (2 * config.hiddenSize + 3 * heads + 2 * keys + config.intermediateSize);
    const std::int64_t blocks = 4 * workers * blockRows * (2 * tokens + 1024);
    const std::int64_t logits = 4 * std::int64_t{config.vocabSize} * 4;
    const std::uint64_t run = programBytes + static_cast<std::uint64_t>(cache + pass + blocks + logits);
    return {run + static_cast<std::uint64_t>(estimate.weightBytes),
        run + static_cast<std::uint64_t>(std::min(workers * estimate.streamedBytesPerThread, estimate.weightBytes))};
}

std::uint64_t availableMemory()
{
    std::uint64_t available = kernelAvailable();
    const auto limit = numberIn("/sys/fs/cgroup/memory.max");
    const auto used = numberIn("/sys/fs/cgroup/memory.current");
    if (limit && used)
        available = std::min(available, *limit > *used ? *limit - *used : 0);
    return available;
}

WeightPlacement placeWeights(const MemoryNeeds& needs, std::uint64_t limit)
{
    const std::uint64_t allowed = limit > 0 ? limit : availableMemory() / 10 * 9;
    if (needs.resident <= allowed)
        return WeightPlacement::Resident;
    if (limit > 0 && needs.streamed > limit)
        throw ModelError(fmt::format(
            "--memory: the run needs about {} MiB with the weights in memory and {} MiB with the weights read from "
            "their file piece by piece, more than the limit of {} MiB; use fewer threads or shorter prompts",
            needs.resident >> 20, needs.streamed >> 20, limit >> 20));
    return WeightPlacement::Streamed;
}

std::string streamingRemark(const MemoryNeeds& needs)
{
    return fmt::format(
        "with the weights in memory the run would need {:.1f} GiB, so they stay in their file and are read "
        "piece by piece, which takes about {:.1f} GiB and more time",
        static_cast<double>(needs.resident) / (1 << 30), static_cast<double>(needs.streamed) / (1 << 30));
}

} // namespace kvloupe
