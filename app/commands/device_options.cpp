// SPDX-License-Identifier: GPL-3.0-or-later

#include "app/commands/device_options.h"

#include "capture/recorder/prompt_input.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace kvloupe {

void DeviceOptions::addTo(CLI::App& command)
{
    command.add_option("--device", device, "Where to compute")
        ->check(CLI::IsMember({"cpu", "cuda"}))
        ->capture_default_str();
    command
        .add_option("--dtype", dtype, "Compute type: float32, or with --device cuda bf16 (the default there) or fp16")
        ->check(CLI::IsMember({"float32", "bf16", "fp16"}))
        ->type_name("TYPE");
}

std::optional<cuda::ComputeType> DeviceOptions::cudaType() const
{
    if (device != "cpu") {
        return dtype == "float32" ? cuda::ComputeType::Float32
            : dtype == "fp16"     ? cuda::ComputeType::Float16
                                  : cuda::ComputeType::Bfloat16;
    }
    if (!dtype.empty() && dtype != "float32") {
        throw PromptError(
            fmt::format("--dtype: found {}, the CPU computes in float32 alone (--device cuda has others)", dtype));
    }
    return std::nullopt;
}

} // namespace kvloupe
