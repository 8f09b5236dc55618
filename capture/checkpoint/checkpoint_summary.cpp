// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/checkpoint_summary.h"

#include "capture/checkpoint/checkpoint.h"
#include "capture/checkpoint/gguf_file.h"
#include "capture/checkpoint/safetensors_file.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvloupe {

namespace {

std::int64_t product(const std::vector<std::int64_t>& sizes)
{
    std::int64_t result = 1;
    for (const std::int64_t size : sizes)
        if (__builtin_mul_overflow(result, size, &result))
            return 0;
    return result;
}

void addTensor(CheckpointSummary& summary, const std::string& type, const std::vector<std::int64_t>& shape)
{
    ++summary.tensors;
    ++summary.tensorsByType[type];
    const std::int64_t size = product(shape);
    if (__builtin_add_overflow(summary.parameters, size, &summary.parameters))
        summary.parameters = 0;
    std::int64_t& ofType = summary.parametersByType[type];
    if (__builtin_add_overflow(ofType, size, &ofType))
        ofType = 0;
}

void summarizeGguf(const std::filesystem::path& path, CheckpointSummary& summary)
{
    const GgufFile file(path);
    summary.format = fmt::format("GGUF v{}", file.version());
    summary.bytes = file.bytes().size();
    for (const GgufTensor& tensor : file.tensors())
        addTensor(summary, ggmlTypeName(tensor.type), tensor.dimensions);
    summary.config = configFromGguf(file);
}

void summarizeFolder(const std::filesystem::path& folder, CheckpointSummary& summary)
{
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".safetensors")
            continue;
        const SafetensorsFile file(entry.path());
        summary.format = "safetensors";
        summary.bytes += file.bytes().size();
        for (const SafetensorsEntry& tensor : file.tensors())
            addTensor(summary, tensor.dtype, tensor.shape);
    }
    summary.config = configFromFolder(folder);
}

} // namespace

CheckpointSummary summarizeCheckpoint(const std::filesystem::path& path)
{
    std::error_code error;
    if (!std::filesystem::exists(path, error))
        throw CheckpointError(fmt::format("{}: no such file or folder", path.string()));
    CheckpointSummary summary;
    try {
        if (std::filesystem::is_directory(path))
            summarizeFolder(path, summary);
        else if (!isPickle(path))
            summarizeGguf(path, summary);
        Checkpoint::open(path);
    } catch (const CheckpointError& problem) {
        summary.problem = problem.what();
    } catch (const std::filesystem::filesystem_error& problem) {
        summary.problem = fmt::format("{}: {}", path.string(), problem.code().message());
    }
    return summary;
}

} // namespace kvloupe
