// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/rope_variant.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvloupe {

class GgufFile;

/// What the gate of an MLP goes through: x / (1 + e^-x), or GELU in its tanh form.
enum class Activation { Silu, GeluTanh };

/// In what layers of one model differ.
struct LayerOptions {
    std::int64_t window = 0; ///< a query sees this many tokens, itself included; 0 = all before it
    int rope = 0; ///< index into ModelConfig::ropes
};

/// The sizes and constants of a decoder-only transformer, range-checked. Read from the metadata of a GGUF file or from
/// config.json; every error is a CheckpointError that names the file and the field.
struct ModelConfig {
    std::string architecture; ///< one of knownArchitectures()
    std::string name; ///< as the file gives it, may be empty
    int numLayers = 0;
    int numHeads = 0; ///< query heads
    int numKvHeads = 0; ///< divides numHeads
    int headDim = 0; ///< even; numHeads * headDim need not be hiddenSize
    int hiddenSize = 0;
    int intermediateSize = 0;
    int vocabSize = 0;
    std::int64_t maxPositions = 0; ///< the context the model was trained for, in tokens
    double rmsNormEps = 0;
    Activation activation = Activation::Silu;
    double attentionScale = 0; ///< softmax(attentionScale * queries keys^T)
    std::vector<RopeVariant> ropes; ///< at least one
    std::vector<LayerOptions> layers; ///< [numLayers]

    bool tiedEmbeddings = false; ///< the output projection is the embedding matrix, there is no lm_head.weight
    double embeddingScale = 1.0; ///< embeddings are multiplied by it
    bool qkvBias = false; ///< q, k and v projections have a bias
    bool outputBias = false; ///< the o projection has one
    bool mlpBias = false; ///< gate, up and down projections have a bias
    bool fusedProjections = false; ///< stored as qkv_proj and gate_up_proj (Phi-3)
    bool qkNorm = false; ///< RMSNorm over every head's query and key before RoPE (Qwen3, Gemma 3)
    bool outputNorms = false; ///< RMSNorm of what attention and MLP give, before it is added (Gemma 3)
    double normOffset = 0; ///< added to every stored gain of a norm: 1 for Gemma's (1 + w) norms
    std::int32_t bosId = -1; ///< -1 when the file names none
    std::vector<std::int32_t> eosIds; ///< ids that end a generation, ascending
    std::string json; ///< what the file says, as JSON text, for provenance

    int queriesPerKvHead() const { return numHeads / numKvHeads; }
    const RopeVariant& rope(int layer) const;
    /// Why what was computed for a text of so many tokens does not hold when it has grown (LongRoPE changes its
    /// frequencies on the way); empty if it does.
    std::string growthProblem(std::int64_t tokensBefore, std::int64_t tokensAfter) const;
    std::int64_t window(int layer) const; ///< tokens that a query sees, itself included; 0 = all before it
};

/// Architectures that can be run, by the names that GGUF and config.json ("model_type") use.
std::vector<std::string_view> knownArchitectures();

ModelConfig configFromGguf(const GgufFile& file);
/// `folder`/config.json, with the end-of-sequence ids of generation_config.json where there is one.
ModelConfig configFromFolder(const std::filesystem::path& folder);

/// Every tensor the architecture needs, by its Hugging Face name, with the shape it must have.
std::vector<std::pair<std::string, std::vector<std::int64_t>>> requiredTensors(const ModelConfig& config);

} // namespace kvloupe
