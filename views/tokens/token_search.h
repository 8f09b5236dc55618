// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "views/tokens/token_text.h"

#include <QString>

#include <vector>

namespace kvloupe {

/// How the find bar reads its pattern.
enum class FindMode { Text, RegularExpression };

/// Groups [begin, end) of a TokenText.
struct GroupRange {
    int begin = 0;
    int end = 0;

    bool operator==(const GroupRange&) const = default;
};

struct TokenMatches {
    std::vector<GroupRange> ranges; ///< ascending
    QString problem; ///< what is wrong with the pattern, empty if nothing is
};

/// All matches in the text as it reads, upper and lower case alike; empty matches and an empty pattern find nothing. A
/// pattern that needs more than some hundred thousand steps at one place is given up with a problem.
TokenMatches findInText(const TokenText& text, const QString& pattern, FindMode mode);

} // namespace kvloupe
