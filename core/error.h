// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <stdexcept>

namespace kvloupe {

/// Something outside the program was not as it must be: a file, an option, a disk.
///
/// The message is one line for a person and names the file, the field, what was found and what was expected. Each
/// library boundary derives a type of its own (RecordingError, MethodError, CheckpointError, ...).
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

} // namespace kvloupe
