// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/tokens/token_text.h"

#include <QString>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace kvloupe {

/// A stretch of one group on one line; x and width in pixels from the left edge of the text.
struct TokenFragment {
    std::int32_t group = 0;
    float x = 0.0F;
    float width = 0.0F;
    QString text; ///< without line feeds; a line feed is a fragment of its own: the symbol that stands for it
    bool lineFeed = false;
};

/// Breaks groups into lines. Tokens are the units: a token is never broken, except at line feeds and when it is wider
/// than a line, so that right-to-left scripts read token by token.
///
/// Widths are measured once per different text; laying out again for another width is a few additions per token.
class TokenLayout {
public:
    using Measure = std::function<double(const QString&)>;

    TokenLayout() = default;
    /// `measure`: width of a text in pixels.
    TokenLayout(std::span<const TokenGroup> groups, const Measure& measure);

    /// Breaks lines at `width` pixels.
    void layOut(double width);

    int lineCount() const { return m_lineStart.empty() ? 0 : static_cast<int>(m_lineStart.size()) - 1; }
    std::span<const TokenFragment> line(int line) const;
    std::span<const TokenFragment> fragments() const { return m_fragments; }
    /// Line on which a group begins, -1 if there is no such group.
    int lineOf(int group) const;
    /// Index into fragments() of the group's first fragment.
    int firstFragmentOf(int group) const;
    /// Fragment of `line` at `x`, the nearest one beside the text; nullptr on an empty line.
    const TokenFragment* fragmentAt(int line, double x) const;

private:
    std::vector<TokenFragment> m_fragments;
    std::vector<std::int32_t> m_lineStart; ///< first fragment of each line, one more at the end
    std::vector<std::int32_t> m_firstFragment; ///< by group
    std::vector<std::int32_t> m_lineOfFragment;
};

} // namespace kvloupe
