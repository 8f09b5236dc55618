// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvloupe {

class GgufFile;

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
    double ropeTheta = 0;
    /// Divisors of the rotary frequencies of RoPE scaling, `[headDim / 2]`; empty when there is none.
    std::vector<double> ropeFactors;
    bool tiedEmbeddings = false; ///< the output projection is the embedding matrix, there is no lm_head.weight
    bool attentionBias = false; ///< q, k, v and o projections have a bias
    bool mlpBias = false; ///< gate, up and down projections have a bias
    std::int32_t bosId = -1; ///< -1 when the file names none
    std::vector<std::int32_t> eosIds; ///< ids that end a generation, ascending
    std::string json; ///< what the file says, as JSON text, for provenance

    int queriesPerKvHead() const { return numHeads / numKvHeads; }

    /// Rotary frequencies in radians per position, `[headDim / 2]`: theta^(-2i / headDim) / ropeFactors[i]
    /// (Su et al. 2021, arXiv 2104.09864, section 3.2.2; the half-split layout of Hugging Face).
    std::vector<double> inverseFrequencies() const;
};

/// Architectures that can be run, by the names that GGUF and config.json ("model_type") use.
std::vector<std::string_view> knownArchitectures();

ModelConfig configFromGguf(const GgufFile& file);
/// `folder`/config.json, with the end-of-sequence ids of generation_config.json where there is one.
ModelConfig configFromFolder(const std::filesystem::path& folder);

/// Every tensor the architecture needs, by its Hugging Face name, with the shape it must have.
std::vector<std::pair<std::string, std::vector<std::int64_t>>> requiredTensors(const ModelConfig& config);

} // namespace kvloupe
