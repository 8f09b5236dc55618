// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/tokenizer/normalizers/normalizer.h"

namespace kvloupe {

enum class UnicodeForm { Nfc, Nfd, Nfkc, Nfkd };

/// Unicode normalisation (UAX #15).
class UnicodeFormNormalizer final : public Normalizer {
public:
    explicit UnicodeFormNormalizer(UnicodeForm form)
        : m_form(form)
    {
    }

    void apply(NormalizedText& text) const override;

private:
    UnicodeForm m_form;
};

} // namespace kvloupe
