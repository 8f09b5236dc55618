// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/normalizers/prepend_normalizer.h"

#include "capture/tokenizer/utf8_text.h"

namespace kvloupe {

void prependTo(
    NormalizedText::Rewriter& rewriter, const NormalizedText& from, std::size_t begin, std::string_view content)
{
    rewriter.put(content, from.origin(begin, begin + characterLength(from.text().substr(begin))));
}

void PrependNormalizer::apply(NormalizedText& text) const
{
    if (text.text().empty())
        return;
    NormalizedText::Rewriter rewriter(text);
    prependTo(rewriter, text, 0, m_content);
    rewriter.keep(0, text.text().size());
    text = rewriter.take();
}

} // namespace kvloupe
