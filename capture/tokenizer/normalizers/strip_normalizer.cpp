// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/normalizers/strip_normalizer.h"

#include "capture/tokenizer/utf8_text.h"

namespace kvloupe {

void StripNormalizer::apply(NormalizedText& text) const
{
    const std::string_view from = text.text();
    std::size_t begin = 0;
    std::size_t end = from.size();
    while (m_left && begin < end && isWhiteSpace(firstCharacter(from.substr(begin)).code))
        begin += characterLength(from.substr(begin));
    while (m_right && end > begin) {
        const std::size_t last = previousCharacter(from, end);
        if (!isWhiteSpace(firstCharacter(from.substr(last)).code))
            break;
        end = last;
    }
    if (begin == 0 && end == from.size())
        return;
    NormalizedText::Rewriter rewriter(text);
    rewriter.keep(begin, end);
    text = rewriter.take();
}

} // namespace kvloupe
