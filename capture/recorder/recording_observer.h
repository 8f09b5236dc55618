// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/model/attention_observer.h"
#include "core/recording/attention_recorder.h"

namespace kvloupe {

/// Hands what a forward pass shows to an AttentionRecorder.
class RecordingObserver final : public AttentionObserver {
public:
    /// `recorder` outlives this object.
    explicit RecordingObserver(AttentionRecorder& recorder)
        : m_recorder(&recorder)
    {
    }

    bool wantsQueriesBeforeRope(int layer) const override { return m_recorder->wantsLayer(layer); }

    void beginLayer(const LayerVectors& vectors) override
    {
        if (m_recorder->wantsLayer(vectors.layer)) {
            m_recorder->beginLayer(vectors, 0);
        }
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
};

} // namespace kvloupe
