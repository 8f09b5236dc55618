// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/normalizers/normalizer.h"

namespace kvloupe {

/// Leaves out combining marks; a decomposing step usually comes before it.
class StripAccentsNormalizer final : public Normalizer {
public:
    void apply(NormalizedText& text) const override;
};

} // namespace kvloupe
