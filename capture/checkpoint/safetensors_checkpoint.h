// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/checkpoint.h"
#include "capture/checkpoint/safetensors_file.h"

namespace kvloupe {

/// A model in Hugging Face layout: config.json with model.safetensors, or with the shards that
/// model.safetensors.index.json lists. Shard names must be plain file names inside the folder.
class SafetensorsCheckpoint final : public Checkpoint {
public:
    explicit SafetensorsCheckpoint(const std::filesystem::path& folder);

    std::string sha256() const override;
    std::string chatTemplate() const override;
    std::string format() const override;

private:
    std::int64_t storedRow(const TensorInfo&, std::int64_t row) const override { return row; }
    bool isPermuted(const TensorInfo&) const override { return false; }
    const MappedFile& fileOf(std::span<const std::byte> storage) const override;

    std::vector<SafetensorsFile> m_shards; ///< ordered by name
};

/// The chat template of a folder in Hugging Face layout: chat_template.jinja, else "chat_template" of
/// tokenizer_config.json; of several named ones the one called "default". Empty when there is none.
std::string chatTemplateOfFolder(const std::filesystem::path& folder);

} // namespace kvloupe
