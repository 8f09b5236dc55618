// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cuda/device_transformer.h"

#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace kvloupe {

/// --device and --dtype of commands that run a model.
struct DeviceOptions {
    std::string device = "cpu";
    std::string dtype; ///< empty = the device's own choice

    void addTo(CLI::App& command);
    /// What a GPU computes in; none for the CPU. Throws PromptError for a type that the CPU does not have.
    std::optional<cuda::ComputeType> cudaType() const;
};

} // namespace kvloupe
