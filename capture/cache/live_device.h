// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/live_model.h"

#include <functional>
#include <memory>
#include <string>

namespace kvloupe {

class Adapter;
class Checkpoint;

/// Where live compressed runs compute, if not on the CPU.
class LiveDevice {
public:
    virtual ~LiveDevice() = default;

    virtual std::string name() const = 0; ///< for results: "cuda (NVIDIA H100)"
    virtual std::string computeType() const = 0; ///< for results: "bf16"
    /// What it throws tells what the device lacks. This object outlives the model.
    virtual std::shared_ptr<const LiveModel> load(const Checkpoint& checkpoint, std::shared_ptr<const Adapter> adapter,
        int threads, const std::function<bool(double)>& progress)
        = 0;
};

} // namespace kvloupe
