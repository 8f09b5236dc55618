// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/recorder/model_files.h"

#include "capture/checkpoint/checkpoint.h"

namespace kvloupe {

ModelFiles::ModelFiles(const std::filesystem::path& path)
    : m_checkpoint(Checkpoint::open(path))
{
    try {
        m_tokenizer = Tokenizer::open(path);
    } catch (const Error&) {
        m_tokenizerError = std::current_exception();
    }
    m_weightsSha256 = std::async(std::launch::async, [this] { return m_checkpoint->sha256(); }).share();
}

ModelFiles::~ModelFiles() = default;

const ModelConfig& ModelFiles::config() const
{
    return m_checkpoint->config();
}

const Tokenizer& ModelFiles::requiredTokenizer() const
{
    if (!m_tokenizer)
        std::rethrow_exception(m_tokenizerError);
    return *m_tokenizer;
}

std::optional<ChatTemplate> ModelFiles::chatTemplate(const std::string& own) const
{
    std::string text = own.empty() ? m_checkpoint->chatTemplate() : own;
    if (text.empty() && m_tokenizer)
        text = m_tokenizer->chatTemplate();
    return text.empty() ? std::nullopt : std::optional(ChatTemplate::recognise(text));
}

} // namespace kvloupe
