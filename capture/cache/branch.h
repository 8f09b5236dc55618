// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/cache/layer_cache.h"
#include "core/methods/budget.h"
#include "core/methods/keep_set.h"
#include "core/methods/method.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvloupe {

class ScoredSample;

/// What all branches of one prompt share; read only.
struct PromptState {
    CacheShape shape;
    std::int64_t promptTokens = 0;
    std::int32_t lastToken = 0; ///< id of the last prompt token
    std::vector<float> logits; ///< [vocab], after the prompt
    std::int64_t lastQueryCount = 0;
    std::vector<std::vector<float>> lastQueries; ///< per layer [queryHeads, lastQueryCount, headDim], after RoPE
};

/// A compressed cache cut from one prefill for one method at one budget, on its way through generated tokens. Copies go
/// their own ways. BatchDecoder runs it.
///
/// Memory: keys and values of the tokens it holds and at most 15 idle slots per list, some 8 bytes per token of each
/// list (of each layer, where the layer decides), and what its policies remember.
class Branch {
public:
    struct Cut {
        Method method;
        Budget budget;
        std::optional<Budget> decodeBudget; ///< share of generated tokens to keep (ShotKV); none = as the prompt
        std::map<int, KeepSet> kept; ///< by layer, every layer of the model
        std::vector<std::string> notes; ///< remarks of the method on its choice
    };

    /// Copies what is kept out of `prefill`, which is not needed afterwards. `scored`: for policies that carry scores
    /// of the prefill on; may be null. Throws MethodError if the sets do not fit the model or the policy.
    Branch(std::shared_ptr<const PromptState> prompt, const PromptCache& prefill, Cut cut,
        std::shared_ptr<const ScoredSample> scored);

    const Method& method() const { return m_method; }
    const Budget& budget() const { return m_budget; }
    std::span<const std::string> notes() const { return m_notes; }
    const PromptState& prompt() const { return *m_prompt; }

    /// Logits after the prompt, [vocab]: those of the full prefill, until BatchDecoder::repeatLastToken.
    std::span<const float> promptLogits() const { return m_logits; }

    /// Position of the next token in the text.
    std::int64_t position() const { return m_position; }
    /// What RoPE turns it by: the position, or the number of cached tokens with PositionMode::Rerotate.
    std::int64_t rotaryPosition() const;

    int layers() const { return static_cast<int>(m_layers.size()); }
    const LayerCache& layer(int layer) const { return m_layers[static_cast<std::size_t>(layer)]; }
    KeepSet alive(int layer) const; ///< positions in the cache now
    double meanTokens() const; ///< cached tokens per list, mean over all lists
    /// Bytes of keys, values and the lists of tokens.
    std::int64_t bytes() const;

private:
    friend class BatchDecoder;

    void beginDecoding();

    std::shared_ptr<const PromptState> m_prompt;
    std::shared_ptr<const ScoredSample> m_scored;
    std::span<const float> m_logits;
    std::shared_ptr<const std::vector<float>> m_ownLogits; ///< behind m_logits once they are not the prompt's
    Method m_method;
    Budget m_budget;
    std::optional<Budget> m_decodeBudget;
    std::vector<std::string> m_notes;
    Granularity m_granularity;
    std::int64_t m_position;
    bool m_decoding = false; ///< policies have begun
    std::vector<LayerCache> m_layers;
};

/// As BatchDecoder takes them.
std::vector<Branch*> pointersTo(std::vector<Branch>& branches);

} // namespace kvloupe
