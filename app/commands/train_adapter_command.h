// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <CLI/App.hpp>

namespace kvloupe {

/// `train-adapter MODEL --style STYLE --out DIR ...`: teaches a LoRA adapter on generated questions. Throws
/// kvloupe::Error.
void addTrainAdapterCommand(CLI::App& program);

} // namespace kvloupe
