// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/evidence.h"
#include "core/prompt/prompt_layout.h"
#include "core/recording/recording.h"

#include <map>
#include <memory>
#include <vector>

namespace kvloupe {

/// Evidence of one layer with the memory behind it.
struct OwnedEvidence {
    LayerEvidence view;
    std::vector<float> lastRows, columnSums, keyNorms, valueNorms, outputValueNorms, queries, keys, values, queryMeans, queryCovariances;

    /// Points the views at the arrays; call after filling or moving them.
    void bind();
};

/// Gathers evidence of a sample from a recording: recorded statistics first, rows from queries and keys where they are needed,
/// the stored tail otherwise. Throws RecordingError that names the `capture` option which records what is missing.
class EvidenceBuilder {
public:
    /// `recording` outlives this object.
    explicit EvidenceBuilder(const Recording& recording);
    OwnedEvidence build(int sample, int layer, const EvidenceNeeds& needs) const;

private:
    const Recording* m_recording;
};

PromptLayout promptLayout(const Recording& recording, int sample);

} // namespace kvloupe
