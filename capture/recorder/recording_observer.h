// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/model/attention_observer.h"
#include "capture/model/transformer.h"
#include "core/recording/attention_recorder.h"

#include <vector>

namespace kvloupe {

/// Hands what a forward pass shows to an AttentionRecorder.
class RecordingObserver final : public AttentionObserver {
public:
    /// `recorder` outlives this object, and so does `normsOf`, the model whose output value norms are recorded too (may
    /// be null).
    RecordingObserver(AttentionRecorder& recorder, const Transformer* normsOf)
        : m_recorder(&recorder)
        , m_normsOf(normsOf)
    {
    }

    bool wantsQueriesBeforeRope(int layer) const override { return m_recorder->wantsLayer(layer); }

    void beginLayer(const LayerVectors& vectors) override
    {
        if (!m_recorder->wantsLayer(vectors.layer)) {
            return;
        }
        std::vector<float> norms;
        LayerVectors recorded = vectors;
        if (m_normsOf != nullptr) {
            norms = m_normsOf->outputValueNorms(vectors.layer, vectors.values, vectors.tokens);
            recorded.outputValueNorms = norms;
        }
        m_recorder->beginLayer(recorded, 0);
    }

    void block(int layer, int head, std::int64_t queryBegin, std::int64_t rows, std::span<const float> probabilities,
        std::int64_t stride, std::span<const RowStatistics> statistics) override
    {
        if (m_recorder->wantsLayer(layer)) {
            m_recorder->block(layer, head, queryBegin, rows, probabilities, stride, statistics);
        }
    }

    void endLayer(int layer) override
    {
        if (m_recorder->wantsLayer(layer)) {
            m_recorder->endLayer(layer);
        }
    }

private:
    AttentionRecorder* m_recorder;
    const Transformer* m_normsOf;
};

} // namespace kvloupe
