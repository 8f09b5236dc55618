// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/normalizers/strip_accents_normalizer.h"

#include "capture/tokenizer/utf8_text.h"

#include <utf8proc.h>

namespace kvloupe {

void StripAccentsNormalizer::apply(NormalizedText& text) const
{
    const std::string_view from = text.text();
    NormalizedText::Rewriter rewriter(text);
    for (std::size_t at = 0; at < from.size();) {
        const auto [code, length] = firstCharacter(from.substr(at));
        const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
        if (category != UTF8PROC_CATEGORY_MN && category != UTF8PROC_CATEGORY_MC && category != UTF8PROC_CATEGORY_ME)
            rewriter.keep(at, at + length);
        at += length;
    }
    text = rewriter.take();
}

} // namespace kvloupe
