// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/evidence.h"
#include "core/prompt/prompt_layout.h"
#include "core/recording/recording.h"

#include <vector>

namespace kvloupe {

/// Evidence of one layer with the memory behind it.
struct OwnedEvidence {
    LayerEvidence view;
    std::vector<float> lastRows, columnSums, keyNorms, valueNorms, outputValueNorms, lastQueries, keys, values,
        queryMeans, queryCovariances;
    std::vector<double> inverseFrequencies;

    OwnedEvidence() = default;
    OwnedEvidence(OwnedEvidence&&) = default; ///< a moved vector keeps its memory, so the views stay right
    OwnedEvidence& operator=(OwnedEvidence&&) = default;
    OwnedEvidence(const OwnedEvidence&) = delete;
    OwnedEvidence& operator=(const OwnedEvidence&) = delete;

    /// Points the views at the arrays; call after filling them.
    void bind();
};

/// Gathers evidence of a sample from a recording: recorded statistics first, rows from queries and keys where they are
/// needed (the bits of the forward pass), the stored tail otherwise; never from float16 maps.
///
/// T is the prompt, in layers with a sliding window its last `window` tokens. Throws RecordingError that names the
/// file, the layer and the `capture` option which records what is missing. Belongs to one thread, as its Recording
/// does; rows are computed by oneTBB.
class EvidenceBuilder {
public:
    /// `recording` outlives this object.
    explicit EvidenceBuilder(const Recording& recording);
    OwnedEvidence build(int sample, int layer, const EvidenceNeeds& needs) const;

private:
    const Recording* m_recording;
};

/// The layout that the spans stored with a sample describe.
PromptLayout promptLayout(const Recording& recording, int sample);

} // namespace kvloupe
