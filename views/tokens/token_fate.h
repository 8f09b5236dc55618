// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/replay/explanation.h"

#include <QColor>
#include <QString>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace kvloupe {

/// What is asked of a token.
struct TokenQuestion {
    std::int64_t token = -1; ///< of the prompt
    QString label; ///< as it reads
    QString method; ///< title of the method in front
    QString place; ///< "layer 3, KV head 1"
    /// The set the head in view reads; null while there is no explanation.
    const SetExplanation* set = nullptr;
    std::int64_t requestedTokens = 0;
    /// The other methods on show: title, whether it keeps the token; nothing while it is not known.
    std::vector<std::pair<QString, std::optional<bool>>> others;
};

/// One line of an answer: a measure, its value, and what it means.
struct FateLine {
    QString name;
    QString value;
    QString meaning;
};

/// Why a method kept or dropped a token, in words.
struct TokenFate {
    QString verdict; ///< "SnapKV drops token 17 "cat" in layer 3, KV head 1"
    QString reason; ///< one sentence
    std::vector<FateLine> lines; ///< score, rank, threshold, pooling, protection, budget, other methods

    /// The whole answer as plain text.
    QString text() const;
};

TokenFate tokenFate(const TokenQuestion& question);

} // namespace kvloupe
