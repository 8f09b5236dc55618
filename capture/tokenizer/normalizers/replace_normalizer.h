// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/normalizers/normalizer.h"
#include "capture/tokenizer/split_pattern.h"

#include <string>
#include <utility>

namespace kvloupe {

/// Puts a text in the place of every match of a pattern.
class ReplaceNormalizer final : public Normalizer {
public:
    ReplaceNormalizer(SplitPattern pattern, std::string content)
        : m_pattern(std::move(pattern))
        , m_content(std::move(content))
    {
    }

    void apply(NormalizedText& text) const override;

private:
    SplitPattern m_pattern;
    std::string m_content;
};

} // namespace kvloupe
