// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/training/lora_model.h"
#include "capture/training/training_mixture.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvloupe {

struct TrainingOptions {
    AdapterStyle style = AdapterStyle::Instruct;
    std::int64_t steps = 320;
    std::int64_t rank = 8;
    double alpha = 16;
    double learningRate = 2e-3; ///< at its highest: rises over warmUpSteps, then falls linearly towards 0
    std::int64_t warmUpSteps = 20;
    double clipNorm = 1.0; ///< the gradient is scaled down to this length
    std::int64_t batch = 6; ///< examples per step
    std::int64_t maximumTokens = 512; ///< of an example
    std::uint64_t seed = 0;
    int threads = 0; ///< 0 = one per core; the result is the same for any number

    /// Everything that the result depends on, as text.
    std::string fingerprint() const;
};

/// One step of training, as it stands in the log.
struct TrainingStep {
    std::int64_t step = 0; ///< from 1 on
    double loss = 0.0; ///< nats per answer token
    double gradientNorm = 0.0; ///< before clipping
    double learningRate = 0.0;
    std::int64_t tokens = 0;
    std::int64_t answerTokens = 0;
};

/// Teaches a LoRA pair on every projection to answer as the examples do: Adam (Kingma and Ba 2014, arXiv 1412.6980;
/// beta 0.9 and 0.999, no weight decay) on the negative log likelihood of answer tokens, a token of an answer of m
/// tokens weighing 1 / sqrt(m), so that one-word answers are not lost among traces.
///
/// Deterministic: the same bits for the same model, options and machine, whatever the number of threads and however
/// often it was interrupted and resumed. Memory: the model, five arrays of all parameters, and one LoraModel::gradient
/// of some 256 tokens (or one longer example) per thread.
///
/// Errors: ModelError when the loss is no number, CheckpointError for files, AdapterError for a state that belongs to
/// other options or another model.
class AdapterTrainer {
public:
    /// `model` and `tokenizer` outlive this object. `modelSha256`: of the model's file, part of what a state belongs
    /// to.
    AdapterTrainer(
        const Transformer& model, const Tokenizer& tokenizer, std::string modelSha256, const TrainingOptions& options);

    const TrainingOptions& options() const { return m_options; }
    std::int64_t stepsDone() const { return m_step; }
    bool done() const { return m_step >= m_options.steps; }
    std::int64_t tokens() const { return m_tokens; } ///< of all examples so far
    std::int64_t answerTokens() const { return m_answerTokens; }

    TrainingStep step();

    AdapterWeights weights() const { return m_lora.weights(); }

    /// Pairs, moments and counters as one safetensors file, written atomically.
    void saveState(const std::filesystem::path& file) const;
    /// Goes on from such a file.
    void loadState(const std::filesystem::path& file);

private:
    std::vector<TrainingExample> nextExamples() const;
    double learningRate() const;
    void update(std::span<const float> gradient, double factor, double rate);
    std::string stateJson() const;

    std::string m_modelSha256;
    TrainingOptions m_options;
    TrainingMixture m_mixture;
    LoraModel m_lora;
    std::vector<float> m_firstMoments; // like LoraModel::parameters()
    std::vector<float> m_secondMoments;
    std::int64_t m_step = 0; // done
    std::int64_t m_tokens = 0;
    std::int64_t m_answerTokens = 0;
};

/// "instruct", "reasoning".
std::string_view adapterStyleName(AdapterStyle style);

} // namespace kvloupe
