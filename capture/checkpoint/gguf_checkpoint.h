// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/checkpoint.h"
#include "capture/checkpoint/gguf_file.h"

namespace kvloupe {

struct Architecture;

/// A model in one GGUF file. Undoes the converter's permutation of the query and key rows of llama and
/// SmolLM3 models.
class GgufCheckpoint final : public Checkpoint {
public:
    explicit GgufCheckpoint(const std::filesystem::path& path);

    std::string sha256() const override;
    std::string chatTemplate() const override;
    std::string format() const override;

private:
    std::int64_t storedRow(const TensorInfo& tensor, std::int64_t row) const override;
    bool isPermuted(const TensorInfo& tensor) const override;
    const MappedFile& fileOf(std::span<const std::byte>) const override { return m_file.mapping(); }

    GgufFile m_file;
    bool m_isPermuted = false;
};

/// The Hugging Face name of a tensor that GGUF calls `name`; `name` itself when it is not one we know.
std::string huggingFaceName(const Architecture& architecture, std::string_view name);

} // namespace kvloupe
