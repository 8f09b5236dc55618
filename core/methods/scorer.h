// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/evidence.h"
#include "core/methods/keep_set.h"
#include "core/prompt/prompt_layout.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace kvloupe {

/// How the query heads that share a KV head are brought to one score.
enum class GroupReduction { Mean, Max, Sum };

/// Scores of one layer, row-major [sets, T], higher is kept first. `sets` = 1 (layer), KV heads or query heads.
///
/// A method without a scorer (FullKV, StreamingLLM) has a Scores of its granularity without values.
struct Scores {
    Granularity granularity = Granularity::KvHead;
    int sets = 0;
    std::int64_t tokens = 0;
    std::int64_t firstPosition = 0; ///< position of index 0, see LayerEvidence
    std::vector<float>
        values; ///< +infinity at either end = sinks or window of the scorer, kept before anything is ranked
    std::vector<float> weights; ///< [sets, T], for choosers that re-weigh in a second stage (CriticalKV); else empty
    std::vector<float> vectors; ///< [sets, T, vectorDim], for choosers that score while they cut (KeyDiff); else empty
    int vectorDim = 0;

    std::span<const float> set(int index) const
    {
        return std::span(values).subspan(static_cast<std::size_t>(index * tokens), static_cast<std::size_t>(tokens));
    }
    std::span<float> set(int index)
    {
        return std::span(values).subspan(static_cast<std::size_t>(index * tokens), static_cast<std::size_t>(tokens));
    }
};

/// From evidence to scores. Immutable after construction, so that one object serves all layers and threads at once.
class Scorer {
public:
    virtual ~Scorer() = default;
    virtual EvidenceNeeds needs(const PromptLayout& layout) const = 0;
    /// Throws MethodError if the evidence lacks what needs() names.
    virtual Scores score(const LayerEvidence& evidence, const PromptLayout& layout) const = 0;
    /// The same scorer without its pooling, to tell what the pooling did to a token; null = it does not pool.
    virtual std::shared_ptr<const Scorer> withoutPooling() const { return nullptr; }
};

} // namespace kvloupe
