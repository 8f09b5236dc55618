// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/adapter/adapter.h"

#include "capture/adapter/adapter_files.h"
#include "capture/checkpoint/checkpoint_error.h"
#include "capture/checkpoint/safetensors_writer.h"
#include "core/recording/half.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <set>

namespace kvloupe {

namespace {

/// What PEFT 0.19 needs to load the adapter with `PeftModel.from_pretrained`.
nlohmann::ordered_json peftConfig(const AdapterWeights& weights)
{
    std::set<std::string> targets;
    for (const AdapterModule& module : weights.modules)
        targets.insert(module.name.substr(module.name.rfind('.') + 1));
    return {{"peft_type", "LORA"}, {"task_type", "CAUSAL_LM"}, {"base_model_name_or_path", weights.baseModel},
        {"r", weights.rank}, {"lora_alpha", weights.alpha}, {"lora_dropout", 0.0}, {"target_modules", targets},
        {"bias", "none"}, {"use_rslora", weights.rankStabilised}, {"use_dora", false}, {"fan_in_fan_out", false},
        {"modules_to_save", nullptr}, {"inference_mode", true}};
}

/// Owns the stored form of tensors until they are written.
class TensorList {
public:
    TensorList(const std::filesystem::path& file, DataType storage)
        : m_file(file)
        , m_storage(storage)
    {
    }

    void add(
        const std::string& module, const char* part, std::vector<std::int64_t> shape, std::span<const float> values)
    {
        const std::string name = fmt::format("base_model.model.{}.{}.weight", module, part);
        std::span<const std::byte> bytes = std::as_bytes(values);
        if (m_storage == DataType::F16) {
            std::vector<Half>& halves = m_halves.emplace_back(values.size());
            floatsToHalves(values, halves);
            for (std::size_t i = 0; i < values.size(); ++i)
                if (!std::isfinite(halfToFloat(halves[i])))
                    throw AdapterError(fmt::format("{}: tensor {}: found {}, expected a number that float16 holds",
                        m_file.string(), name, values[i]));
            bytes = std::as_bytes(std::span(halves));
        }
        m_entries.push_back({name, std::string(dataTypeName(m_storage)), std::move(shape), bytes});
    }

    void write() const { writeSafetensors(m_file, m_entries, {{"format", "pt"}}); }

private:
    std::filesystem::path m_file;
    DataType m_storage;
    std::vector<std::vector<Half>> m_halves;
    std::vector<SafetensorsEntry> m_entries;
};

} // namespace

void writeAdapter(const std::filesystem::path& folder, const AdapterWeights& weights,
    const nlohmann::ordered_json& facts, DataType storage)
{
    TensorList tensors(folder / adapterWeightsFile, storage);
    for (const AdapterModule& module : weights.modules) {
        tensors.add(module.name, "lora_A", {weights.rank, module.inputs}, module.down);
        tensors.add(module.name, "lora_B", {module.outputs, weights.rank}, module.up);
    }
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error)
        throw AdapterError(fmt::format("{}: cannot be made: {}", folder.string(), error.message()));
    writeFileAtomically(folder / adapterConfigFile, peftConfig(weights).dump(2) + "\n");
    writeFileAtomically(folder / adapterFactsFile, facts.dump(2) + "\n");
    tensors.write();
}

} // namespace kvloupe
