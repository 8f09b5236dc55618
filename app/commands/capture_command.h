// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <CLI/App.hpp>

namespace kvloupe {

/// `capture MODEL --out REC.h5 ...`: real forward passes into a recording. Throws kvloupe::Error.
void addCaptureCommand(CLI::App& program);

} // namespace kvloupe
