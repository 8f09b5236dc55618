// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/pre_tokenizers/metaspace_step.h"

#include "capture/tokenizer/normalizers/prepend_normalizer.h"

namespace kvloupe {

void MetaspaceStep::apply(Pieces& pieces) const
{
    const std::string_view from = pieces.text.text();
    NormalizedText::Rewriter rewriter(pieces.text);
    std::vector<ByteRange> ranges;
    ranges.reserve(pieces.ranges.size());
    for (const ByteRange& piece : pieces.ranges) {
        std::size_t begin = rewriter.size();
        const auto cut = [&] {
            if (rewriter.size() > begin)
                ranges.push_back({begin, rewriter.size()});
            begin = rewriter.size();
        };
        const std::string_view text = from.substr(piece.begin, piece.end - piece.begin);
        const bool isMarked = text.front() == ' ' || text.starts_with(m_mark);
        const bool isFirst = pieces.text.origin(piece.begin, piece.end)[0] == 0;
        if (!isMarked && (m_prepend == Prepend::Always || (m_prepend == Prepend::First && isFirst)))
            prependTo(rewriter, pieces.text, piece.begin, m_mark);
        for (std::size_t at = 0; at < text.size();) {
            const bool isSpace = text[at] == ' ';
            const bool isMark = !isSpace && text.substr(at).starts_with(m_mark);
            if (m_splits && (isSpace || isMark))
                cut();
            if (isSpace) {
                rewriter.put(m_mark, pieces.text.origin(piece.begin + at, piece.begin + at + 1));
                ++at;
                continue;
            }
            std::size_t end = isMark ? at + m_mark.size() : at + 1;
            while (end < text.size() && text[end] != ' ' && !text.substr(end).starts_with(m_mark))
                ++end;
            rewriter.keep(piece.begin + at, piece.begin + end);
            at = end;
        }
        cut();
    }
    pieces = {rewriter.take(), std::move(ranges)};
}

} // namespace kvloupe
