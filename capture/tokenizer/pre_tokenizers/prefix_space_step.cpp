// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/pre_tokenizers/prefix_space_step.h"

#include "capture/tokenizer/normalizers/prepend_normalizer.h"

namespace kvloupe {

void PrefixSpaceStep::apply(Pieces& pieces) const
{
    NormalizedText::Rewriter rewriter(pieces.text);
    std::vector<ByteRange> ranges;
    for (const ByteRange& piece : pieces.ranges) {
        const std::size_t begin = rewriter.size();
        if (pieces.text.text()[piece.begin] != ' ')
            prependTo(rewriter, pieces.text, piece.begin, " ");
        rewriter.keep(piece.begin, piece.end);
        ranges.push_back({begin, rewriter.size()});
    }
    pieces = {rewriter.take(), std::move(ranges)};
}

} // namespace kvloupe
