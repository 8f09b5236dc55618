// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/adapter/adapter.h"
#include "capture/checkpoint/checkpoint.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <string>

namespace kvloupe {

/// Adapters of tests/data/tiny_llama; make_adapter_reference.py explains them.
inline std::filesystem::path tinyAdapter(const char* name)
{
    return std::filesystem::path(KVLOUPE_TEST_DATA) / "tiny_adapters" / name;
}

inline ModelConfig tinyConfig()
{
    return Checkpoint::open(std::filesystem::path(KVLOUPE_TEST_DATA) / "tiny_llama")->config();
}

/// Rank 2 on one projection of tiny_llama's first layer, numbers that float16 holds.
inline AdapterWeights smallWeights()
{
    AdapterModule module{"model.layers.0.self_attn.k_proj", 16, 32, {}, {}};
    for (int i = 0; i < 2 * 32; ++i)
        module.down.push_back(static_cast<float>(i % 7 - 3) / 8.0F);
    for (int i = 0; i < 16 * 2; ++i)
        module.up.push_back(static_cast<float>(i % 5 - 2) / 4.0F);
    return {2, 6.0, false, "tiny", {std::move(module)}};
}

inline nlohmann::json jsonOf(const std::filesystem::path& file)
{
    std::ifstream in(file);
    return nlohmann::json::parse(in);
}

} // namespace kvloupe
