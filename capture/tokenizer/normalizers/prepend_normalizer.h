// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/normalizers/normalizer.h"
#include <string>
#include <utility>

namespace kvloupe {

/// Puts a text before every text that is not empty.
class PrependNormalizer final : public Normalizer {
public:
    explicit PrependNormalizer(std::string content)
        : m_content(std::move(content))
    {
    }

    void apply(NormalizedText& text) const override;

private:
    std::string m_content;
};

/// Puts `content` before the text in [begin, end) of `from`, which is not empty; its origin is that of the first
/// character.
void prependTo(
    NormalizedText::Rewriter& rewriter, const NormalizedText& from, std::size_t begin, std::string_view content);

} // namespace kvloupe
