// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"

namespace kvloupe {

/// A method, parameter or budget that cannot be: the message names what was found and what was expected.
class MethodError : public Error {
public:
    using Error::Error;
};

} // namespace kvloupe
