// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"

namespace kvloupe {

/// A tokenizer file is damaged or of a kind we do not know, or a text cannot be encoded.
class TokenizerError : public Error {
public:
    using Error::Error;
};

} // namespace kvloupe
