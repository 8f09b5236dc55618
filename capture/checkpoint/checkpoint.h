// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/model_config.h"
#include "capture/checkpoint/tensor_types.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

class MappedFile;

/// A model on disk: its configuration and its weights, memory-mapped and read on demand.
///
/// Names are always Hugging Face's (model.layers.0.self_attn.q_proj.weight), and so is the order of rows, whatever the
/// file holds. Const and thread-safe once open. Every error is a CheckpointError.
class Checkpoint {
public:
    /// Opens a GGUF file (version 2 or 3), or a folder in Hugging Face layout (config.json and *.safetensors). Checks
    /// the whole directory of tensors and that every tensor the architecture needs is there with the right shape; reads
    /// no weights.
    static std::unique_ptr<Checkpoint> open(const std::filesystem::path& path);

    virtual ~Checkpoint() = default;

    const ModelConfig& config() const { return m_config; }
    std::span<const TensorInfo> tensors() const { return m_tensors; } ///< ordered by name
    const TensorInfo* find(std::string_view name) const; ///< nullptr if there is none

    /// Rows [rowBegin, rowEnd) of a tensor as float32, row-major; `out` holds exactly (rowEnd - rowBegin) x rowLength
    /// values. A tensor of one dimension is one row: (0, 1) reads all of it. Throws if a number is infinite or NaN,
    /// which no weight is, and if the file was cut since it was opened.
    void readFloat32(std::string_view name, std::int64_t rowBegin, std::int64_t rowEnd, std::span<float> out) const;
    /// A whole tensor.
    std::vector<float> readFloat32(std::string_view name) const;
    /// The same rows as they are stored, in Hugging Face's order; not looked at. Of a tensor that is
    /// there, has two dimensions and rows of whole blocks.
    void readStored(std::string_view name, std::int64_t rowBegin, std::int64_t rowEnd, std::span<std::byte> out) const;
    /// Advice to the kernel that these rows of a tensor that is there will be read soon.
    void prefetch(std::string_view name, std::int64_t rowBegin, std::int64_t rowEnd) const;
    /// Gives back the pages of a tensor that is there; readers in other threads take them in again.
    void release(std::string_view name) const;

    /// SHA-256 of the weights, computed at each call: of the file, or, when there are several shards, of the text
    /// "DIGEST  NAME\n" per shard in the order of names, which is what sha256sum prints.
    virtual std::string sha256() const = 0;

    /// The chat template (Jinja) that comes with the model; empty when there is none.
    virtual std::string chatTemplate() const = 0;
    /// "GGUF v3", "safetensors".
    virtual std::string format() const = 0;
    const std::filesystem::path& path() const { return m_path; }

protected:
    explicit Checkpoint(std::filesystem::path path)
        : m_path(std::move(path))
    {
    }

    /// Takes the configuration and the directory, and checks one against the other. `storage[i]` holds `tensors[i]`.
    void adopt(ModelConfig config, std::vector<TensorInfo> tensors, std::vector<std::span<const std::byte>> storage);

private:
    /// The row of the file that holds row `row` of the tensor in Hugging Face order.
    virtual std::int64_t storedRow(const TensorInfo& tensor, std::int64_t row) const = 0;
    /// Whether storedRow is anything but the identity for this tensor.
    virtual bool isPermuted(const TensorInfo& tensor) const = 0;
    /// The file that these bytes, as `adopt` was given them, lie in.
    virtual const MappedFile& fileOf(std::span<const std::byte> storage) const = 0;

    std::span<const std::byte> storageOf(const TensorInfo& tensor) const;
    /// "FILE: tensor NAME"
    std::string where(const TensorInfo& tensor) const;
    [[noreturn]] void refuseNumber(const TensorInfo& tensor, std::int64_t row, std::size_t column, float found) const;
    void readPermutedBias(const TensorInfo& tensor, std::span<const std::byte> bytes, std::span<float> out) const;

    std::filesystem::path m_path;
    ModelConfig m_config;
    std::vector<TensorInfo> m_tensors;
    std::vector<std::span<const std::byte>> m_storage;
};

/// Whether a file has the name of weights that PyTorch pickled: .bin, .ckpt, .pt, .pth.
bool isPickle(const std::filesystem::path& path);
/// Why pickled weights are not read, and the way out.
CheckpointError pickleError(const std::filesystem::path& path);

} // namespace kvloupe
