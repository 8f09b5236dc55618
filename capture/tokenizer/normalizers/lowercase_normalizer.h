// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/normalizers/normalizer.h"

namespace kvloupe {

/// Lower case of every character by itself, İ becoming two.
class LowercaseNormalizer final : public Normalizer {
public:
    void apply(NormalizedText& text) const override;
};

} // namespace kvloupe
