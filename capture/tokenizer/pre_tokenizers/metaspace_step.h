// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/pre_tokenizers/pre_tokenizer.h"

#include <string>

namespace kvloupe {

/// Writes a visible mark for every space, as SentencePiece does, puts one before the text, and cuts before each.
class MetaspaceStep final : public PreTokenizer {
public:
    /// Before which pieces a mark is put that do not begin with one.
    enum class Prepend { Never, First, Always };

    MetaspaceStep(std::string mark, Prepend prepend, bool splits)
        : m_mark(std::move(mark))
        , m_prepend(prepend)
        , m_splits(splits)
    {
    }

    void apply(Pieces& pieces) const override;

private:
    std::string m_mark;
    Prepend m_prepend;
    bool m_splits;
};

} // namespace kvloupe
