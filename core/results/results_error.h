// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"

namespace kvloupe {

/// A file of results, or of published numbers, is not as it must be.
class ResultsError : public Error {
public:
    using Error::Error;
};

} // namespace kvloupe
