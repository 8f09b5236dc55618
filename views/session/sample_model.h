// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/prompt/prompt_layout.h"
#include "core/recording/recording_types.h"
#include "views/tokens/token_text.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace kvloupe {

/// One sample as the views see it: everything but arrays. Immutable and shared; read once on the I/O thread.
struct SampleModel {
    int sample = 0;
    ModelInfo model;
    SampleInfo info;
    SampleText text;
    TokenText tokens; ///< of `text`, as it reads
    PromptLayout layout;
    std::vector<LayerInfo> layers; ///< recorded layers, ascending

    const LayerInfo* findLayer(int layer) const;
};

using SampleModelPtr = std::shared_ptr<const SampleModel>;

class Recording;

/// Reads everything but the arrays of `sample`; belongs on the thread that owns `recording`. Throws RecordingError.
SampleModelPtr readSampleModel(const Recording& recording, int sample);

} // namespace kvloupe
