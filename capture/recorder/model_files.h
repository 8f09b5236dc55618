// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/chat_template.h"
#include "capture/tokenizer/tokenizer.h"

#include <exception>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>

namespace kvloupe {

class Checkpoint;
struct ModelConfig;

/// What belongs to a model on disk: weights, tokenizer, chat template, and the hash of the weights, which is computed
/// beside other work. Nothing of it runs.
///
/// Errors: CheckpointError for weights that cannot be read.
class ModelFiles {
public:
    /// A GGUF file or a folder in Hugging Face layout.
    explicit ModelFiles(const std::filesystem::path& path);
    ~ModelFiles();

    const Checkpoint& checkpoint() const { return *m_checkpoint; }
    const ModelConfig& config() const;
    std::string weightsSha256() const { return m_weightsSha256.get(); } ///< waits for it

    /// Null where there is none: token ids can be run without one.
    const Tokenizer* tokenizer() const { return m_tokenizer.get(); }
    /// Throws what opening it threw, TokenizerError or CheckpointError.
    const Tokenizer& requiredTokenizer() const;

    /// The template `own` (Jinja text), else that of the model; nothing if there is none. Throws TokenizerError for one
    /// that is not known.
    std::optional<ChatTemplate> chatTemplate(const std::string& own = {}) const;

private:
    std::unique_ptr<Checkpoint> m_checkpoint;
    std::unique_ptr<Tokenizer> m_tokenizer;
    std::exception_ptr m_tokenizerError;
    std::shared_future<std::string> m_weightsSha256; // last, so that it ends before the checkpoint goes
};

} // namespace kvloupe
