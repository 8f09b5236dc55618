// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/normalizers/lowercase_normalizer.h"

#include "capture/tokenizer/utf8_text.h"

#include <utf8proc.h>

#include <array>

namespace kvloupe {

void LowercaseNormalizer::apply(NormalizedText& text) const
{
    using Character = NormalizedText::Character;
    const std::string_view from = text.text();
    NormalizedText::Rewriter rewriter(text);
    for (std::size_t at = 0; at < from.size();) {
        const auto [code, length] = firstCharacter(from.substr(at));
        if (code == U'\u0130') {
            rewriter.replace(at, at + length, std::array{Character{U'i', 0}, Character{U'\u0307', 1}});
        } else {
            const auto lower = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
            rewriter.replace(at, at + length, std::array{Character{lower, 0}});
        }
        at += length;
    }
    text = rewriter.take();
}

} // namespace kvloupe
