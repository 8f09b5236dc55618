// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/checkpoint/checkpoint.h"

#include "capture/checkpoint/gguf_checkpoint.h"
#include "capture/checkpoint/gguf_file.h"
#include "capture/checkpoint/mapped_file.h"
#include "capture/checkpoint/safetensors_checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

namespace kvloupe {

std::unique_ptr<Checkpoint> Checkpoint::open(const std::filesystem::path& path)
{
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status))
        throw CheckpointError(fmt::format("{}: no such file or folder", path.string()));
    if (std::filesystem::is_directory(status))
        return std::make_unique<SafetensorsCheckpoint>(path);
    if (path.extension() == ".safetensors")
        throw CheckpointError(fmt::format(
            "{}: a safetensors file alone has no configuration; give the folder with its config.json", path.string()));
    if (isPickle(path))
        throw pickleError(path);
    return std::make_unique<GgufCheckpoint>(path);
}

bool isPickle(const std::filesystem::path& path)
{
    constexpr std::array<std::string_view, 4> extensions = {".bin", ".ckpt", ".pt", ".pth"};
    return !GgufFile::recognise(path) && std::ranges::find(extensions, path.extension().string()) != extensions.end();
}

CheckpointError pickleError(const std::filesystem::path& path)
{
    return CheckpointError(fmt::format(
        "{}: PyTorch's .bin and .pt files are Python pickles, which can run any program when they are read; "
        "convert the model where you trust it: AutoModelForCausalLM.from_pretrained(FOLDER)"
        ".save_pretrained(OUT, safe_serialization=True), then give OUT",
        path.string()));
}

namespace {

/// A weight inside the layers that the architecture does not read: leaving it out would give other numbers. GGUF's
/// names stay where Hugging Face has none; the rotation that old files carry along is in the configuration too.
bool wouldBeMissed(std::string_view name)
{
    const bool isInLayer = name.starts_with("model.layers.") || name.starts_with("blk.");
    const bool isWeight = name.ends_with(".weight") || name.ends_with(".bias") || name.ends_with(".sinks");
    return isInLayer && isWeight && name.find("attn_rot_embd") == std::string_view::npos;
}

} // namespace

const TensorInfo* Checkpoint::find(std::string_view name) const
{
    const auto found = std::ranges::lower_bound(m_tensors, name, {}, &TensorInfo::name);
    return found == m_tensors.end() || found->name != name ? nullptr : &*found;
}

void Checkpoint::adopt(
    ModelConfig config, std::vector<TensorInfo> tensors, std::vector<std::span<const std::byte>> storage)
{
    std::vector<std::size_t> order(tensors.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) -> const std::string& { return tensors[i].name; });
    for (const std::size_t i : order) {
        if (!m_tensors.empty() && m_tensors.back().name == tensors[i].name)
            throw CheckpointError(
                fmt::format("{}: tensor {} occurs twice", m_path.string(), inQuotes(m_tensors.back().name)));
        m_tensors.push_back(std::move(tensors[i]));
        m_storage.push_back(storage[i]);
    }
    m_config = std::move(config);
    const auto required = requiredTensors(m_config);
    std::set<std::string_view> needed;
    for (const auto& [name, shape] : required) {
        needed.insert(name);
        const TensorInfo* const tensor = find(name);
        if (tensor == nullptr)
            throw CheckpointError(fmt::format("{}: tensor {} is missing, architecture {} needs it with shape [{}]",
                m_path.string(), name, m_config.architecture, fmt::join(shape, ", ")));
        if (tensor->shape != shape)
            throw CheckpointError(fmt::format("{}: found shape [{}], expected [{}] from the configuration",
                where(*tensor), fmt::join(tensor->shape, ", "), fmt::join(shape, ", ")));
    }
    for (const TensorInfo& tensor : m_tensors)
        if (wouldBeMissed(tensor.name) && !needed.contains(tensor.name))
            throw CheckpointError(fmt::format("{} is one too many: architecture {} with {} layers does not use it",
                where(tensor), m_config.architecture, m_config.numLayers));
}

std::span<const std::byte> Checkpoint::storageOf(const TensorInfo& tensor) const
{
    return m_storage[static_cast<std::size_t>(&tensor - m_tensors.data())];
}

std::string Checkpoint::where(const TensorInfo& tensor) const
{
    return fmt::format("{}: tensor {}", fileOf(storageOf(tensor)).path().string(), inQuotes(tensor.name));
}

void Checkpoint::refuseNumber(const TensorInfo& tensor, std::int64_t row, std::size_t column, float found) const
{
    throw CheckpointError(
        fmt::format("{}: row {}, column {}: found {}, expected a finite number", where(tensor), row, column, found));
}

namespace {

/// A tensor that is read from front to back, by several threads, takes in and gives back its pages in blocks: calls of
/// the kernel for every piece, and the interrupts of other processors that they cause, would cost as much as the
/// reading.
constexpr std::size_t pageBlock = std::size_t{4} << 20;

/// The block that begins in [begin, end) and those between.
void populateBlocks(std::span<const std::byte> tensor, std::size_t begin, std::size_t end)
{
    const std::size_t first = (begin + pageBlock - 1) / pageBlock * pageBlock;
    const std::size_t last = std::min(tensor.size(), (end + pageBlock - 1) / pageBlock * pageBlock);
    if (first < end)
        populatePages(tensor.subspan(first, last - first));
}

/// The blocks that end in [begin, end), the tensor's rest, and some blocks before, which a slower thread may have taken
/// in again.
void releaseBlocks(std::span<const std::byte> tensor, std::size_t begin, std::size_t end)
{
    constexpr std::size_t lookBack = 4 * pageBlock;
    const std::size_t own = begin / pageBlock * pageBlock;
    const std::size_t first = own - std::min(own, lookBack);
    const std::size_t last = end == tensor.size() ? end : end / pageBlock * pageBlock;
    if (own < last)
        releasePages(tensor.subspan(first, last - first));
}

} // namespace

void Checkpoint::readFloat32(
    std::string_view name, std::int64_t rowBegin, std::int64_t rowEnd, std::span<float> out) const
{
    const TensorInfo* const tensor = find(name);
    if (tensor == nullptr)
        throw CheckpointError(fmt::format("{}: has no tensor {}", m_path.string(), inQuotes(name)));
    if (rowBegin < 0 || rowEnd < rowBegin || rowEnd > tensor->rows())
        throw CheckpointError(fmt::format("{}: tensor {}: rows [{}, {}) are outside its {} rows", m_path.string(), name,
            rowBegin, rowEnd, tensor->rows()));
    const auto length = static_cast<std::size_t>(tensor->rowLength());
    const auto count = static_cast<std::size_t>(rowEnd - rowBegin);
    if (out.size() != count * length)
        throw CheckpointError(fmt::format("{}: tensor {}: room for {} values, {} rows of {} were asked for",
            m_path.string(), name, out.size(), count, length));
    const auto bytes = storageOf(*tensor);
    fileOf(bytes).requireUncut();
    const std::size_t rowBytes = bytes.size() / static_cast<std::size_t>(tensor->rows());
    if (!isPermuted(*tensor)) {
        const std::size_t begin = static_cast<std::size_t>(rowBegin) * rowBytes;
        const std::size_t end = begin + count * rowBytes;
        populateBlocks(bytes, begin, end);
        if (const auto bad = dequantizeFinite(tensor->type, bytes.subspan(begin, end - begin), out))
            refuseNumber(*tensor, rowBegin + static_cast<std::int64_t>(*bad / length), *bad % length, out[*bad]);
        if (count == 1)
            releasePages(bytes.subspan(begin, end - begin));
        else
            releaseBlocks(bytes, begin, end);
        return;
    }
    if (tensor->shape.size() == 1)
        return count == 0 ? void() : readPermutedBias(*tensor, bytes, out);
    std::size_t lowest = bytes.size() / rowBytes;
    std::size_t end = 0; // of the stored rows that were read
    for (std::size_t row = 0; row < count; ++row) {
        const std::int64_t there = rowBegin + static_cast<std::int64_t>(row);
        const auto stored = static_cast<std::size_t>(storedRow(*tensor, there));
        const auto values = out.subspan(row * length, length);
        if (const auto bad = dequantizeFinite(tensor->type, bytes.subspan(stored * rowBytes, rowBytes), values))
            refuseNumber(*tensor, there, *bad, values[*bad]);
        lowest = std::min(lowest, stored);
        end = std::max(end, stored + 1);
    }
    if (lowest < end)
        releasePages(bytes.subspan(lowest * rowBytes, (end - lowest) * rowBytes));
}

void Checkpoint::readStored(
    std::string_view name, std::int64_t rowBegin, std::int64_t rowEnd, std::span<std::byte> out) const
{
    const TensorInfo* const tensor = find(name);
    const std::size_t rows = tensor == nullptr ? 0 : static_cast<std::size_t>(tensor->rows());
    const auto bytes = tensor == nullptr ? std::span<const std::byte>() : storageOf(*tensor);
    const std::size_t rowBytes = rows == 0 ? 0 : bytes.size() / rows;
    const auto count = static_cast<std::size_t>(rowEnd - rowBegin);
    if (rowBegin < 0 || rowEnd < rowBegin || rowEnd > static_cast<std::int64_t>(rows) || out.size() != count * rowBytes)
        throw CheckpointError(fmt::format("{}: tensor {}: {} bytes for rows [{}, {}) of {} with {} bytes each",
            m_path.string(), inQuotes(name), out.size(), rowBegin, rowEnd, rows, rowBytes));
    fileOf(bytes).requireUncut();
    if (!isPermuted(*tensor)) {
        const std::size_t begin = static_cast<std::size_t>(rowBegin) * rowBytes;
        populateBlocks(bytes, begin, begin + out.size());
        std::ranges::copy(bytes.subspan(begin, out.size()), out.begin());
        releaseBlocks(bytes, begin, begin + out.size());
        return;
    }
    for (std::size_t row = 0; row < count; ++row) {
        const auto stored = static_cast<std::size_t>(storedRow(*tensor, rowBegin + static_cast<std::int64_t>(row)));
        std::ranges::copy(
            bytes.subspan(stored * rowBytes, rowBytes), out.begin() + static_cast<std::ptrdiff_t>(row * rowBytes));
    }
}

void Checkpoint::prefetch(std::string_view name, std::int64_t rowBegin, std::int64_t rowEnd) const
{
    const TensorInfo* const tensor = find(name);
    if (tensor == nullptr)
        return;
    const auto bytes = storageOf(*tensor);
    const std::size_t rowBytes = bytes.size() / static_cast<std::size_t>(tensor->rows());
    prefetchPages(bytes.subspan(
        static_cast<std::size_t>(rowBegin) * rowBytes, static_cast<std::size_t>(rowEnd - rowBegin) * rowBytes));
}

void Checkpoint::release(std::string_view name) const
{
    if (const TensorInfo* const tensor = find(name))
        releasePages(storageOf(*tensor));
}

void Checkpoint::readPermutedBias(
    const TensorInfo& tensor, std::span<const std::byte> bytes, std::span<float> out) const
{
    std::vector<float> stored(out.size());
    const bool isBad = dequantizeFinite(tensor.type, bytes, stored).has_value();
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = stored[static_cast<std::size_t>(storedRow(tensor, static_cast<std::int64_t>(i)))];
        if (isBad && !std::isfinite(out[i]))
            refuseNumber(tensor, 0, i, out[i]);
    }
}

std::vector<float> Checkpoint::readFloat32(std::string_view name) const
{
    const TensorInfo* const tensor = find(name);
    const std::int64_t rows = tensor == nullptr ? 0 : tensor->rows();
    std::vector<float> values(tensor == nullptr ? 0 : static_cast<std::size_t>(rows * tensor->rowLength()));
    readFloat32(name, 0, rows, values);
    return values;
}

} // namespace kvloupe
