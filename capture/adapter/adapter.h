// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"
#include "capture/checkpoint/tensor_types.h"
#include "core/error.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

/// An adapter is missing, damaged, of a kind that is not read, or one for another model. Names the file and the module.
class AdapterError : public Error {
public:
    using Error::Error;
};

/// One adapted projection: W [outputs, inputs] becomes W + scale * up down (Hu et al. 2021, arXiv 2106.09685).
struct AdapterModule {
    std::string name; ///< as Hugging Face names it: "model.layers.3.self_attn.q_proj"
    std::int64_t outputs = 0;
    std::int64_t inputs = 0;
    std::vector<float> down; ///< A: [rank, inputs]
    std::vector<float> up; ///< B: [outputs, rank]
};

/// What adapter_config.json and adapter_model.safetensors say together.
struct AdapterWeights {
    std::int64_t rank = 0;
    double alpha = 0;
    bool rankStabilised = false; ///< "use_rslora"
    std::string baseModel; ///< "base_model_name_or_path"
    std::vector<AdapterModule> modules; ///< ordered by name

    /// alpha / rank, or alpha / sqrt(rank) (Kalajdzievski 2023, arXiv 2312.03732).
    double scale() const;
};

/// What an adapter says of itself in kvloupe_adapter.json; adapters from elsewhere have no such file.
struct AdapterFacts {
    std::string name; ///< without one, the folder's
    std::string role; ///< "instruct-adapter", "reasoning-adapter"; "" when unknown
    bool thinks = false; ///< answers begin with a `<think>` part
};

/// A LoRA adapter in the PEFT format (https://github.com/huggingface/peft): a folder with adapter_config.json and
/// adapter_model.safetensors in F32, F16 or BF16. Const and thread-safe.
///
/// LoRA on the linear projections of the decoder layers is read; whatever else PEFT can do (DoRA, modules_to_save,
/// trained biases, ranks per module, adapted embeddings) is refused by name.
class Adapter {
public:
    /// Throws AdapterError; everything the files hold is checked, against a model only by check().
    static std::shared_ptr<const Adapter> read(const std::filesystem::path& folder);

    /// Throws AdapterError naming module, found and expected if the adapter is one for another model.
    void check(const ModelConfig& config) const;

    const std::string& sha256() const { return m_sha256; } ///< of adapter_model.safetensors
    const std::string& name() const { return m_facts.name; }
    const std::string& role() const { return m_facts.role; }
    bool thinks() const { return m_facts.thinks; }
    const AdapterWeights& weights() const { return m_weights; }

    /// Adds scale * up down to rows [rowBegin, rowEnd) of the weight tensor of that name (`NAME.weight`) in `values`
    /// [rows, inputs]; does nothing for tensors that are not adapted. The shapes were checked by check().
    void addTo(std::string_view tensor, std::int64_t rowBegin, std::int64_t rowEnd, std::span<float> values) const;

private:
    explicit Adapter(const std::filesystem::path& folder);

    std::filesystem::path m_path; // of adapter_model.safetensors
    AdapterWeights m_weights;
    AdapterFacts m_facts;
    std::string m_sha256;
};

/// Writes adapter_config.json, kvloupe_adapter.json and adapter_model.safetensors, each atomically and the weights
/// last. `storage`: F32 or F16. `facts` holds at least what AdapterFacts reads. Makes the folder. Throws AdapterError
/// (a number that float16 cannot hold), CheckpointError if a file cannot be written.
void writeAdapter(const std::filesystem::path& folder, const AdapterWeights& weights,
    const nlohmann::ordered_json& facts, DataType storage = DataType::F16);

/// The folder itself if something is there; else that of the shipped adapter of this name. Throws AdapterError that
/// lists the shipped ones.
std::filesystem::path findAdapter(const std::string& nameOrPath);

} // namespace kvloupe
