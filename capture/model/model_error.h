// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/error.h"

namespace kvloupe {

/// A model could not run on what it was given: an empty or too long prompt, a token id outside the vocabulary, weights
/// that give infinities.
class ModelError : public Error {
public:
    using Error::Error;
};

/// A progress callback returned false. Caches are left as they were before the cancelled call.
class Cancelled : public Error {
public:
    using Error::Error;
};

} // namespace kvloupe
