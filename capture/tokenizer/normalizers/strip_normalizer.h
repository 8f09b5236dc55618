// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/normalizers/normalizer.h"

namespace kvloupe {

/// Leaves out white space at the ends of a text.
class StripNormalizer final : public Normalizer {
public:
    StripNormalizer(bool left, bool right)
        : m_left(left)
        , m_right(right)
    {
    }

    void apply(NormalizedText& text) const override;

private:
    bool m_left;
    bool m_right;
};

} // namespace kvloupe
