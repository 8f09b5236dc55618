// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/normalizers/replace_normalizer.h"

namespace kvloupe {

void ReplaceNormalizer::apply(NormalizedText& text) const
{
    const std::vector<ByteRange> matches = SplitPattern::Matcher(m_pattern).matches(text.text());
    if (matches.empty())
        return;
    NormalizedText::Rewriter rewriter(text);
    std::size_t at = 0;
    for (const ByteRange& match : matches) {
        rewriter.keep(at, match.begin);
        rewriter.put(m_content, text.origin(match.end - 1, match.end));
        at = match.end;
    }
    rewriter.keep(at, text.text().size());
    text = rewriter.take();
}

} // namespace kvloupe
