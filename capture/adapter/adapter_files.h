// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <string_view>

namespace kvloupe {

/// Files of an adapter's folder; the first two as PEFT names them.
inline constexpr std::string_view adapterConfigFile = "adapter_config.json";
inline constexpr std::string_view adapterWeightsFile = "adapter_model.safetensors";
inline constexpr std::string_view adapterFactsFile = "kvloupe_adapter.json";

} // namespace kvloupe
