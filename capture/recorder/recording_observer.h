// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "capture/checkpoint/model_config.h"
#include "capture/model/attention_observer.h"
#include "capture/model/transformer.h"
#include "core/recording/attention_recorder.h"

#include <utility>
#include <vector>

namespace kvloupe {

/// Hands what a forward pass shows to an AttentionRecorder.
class RecordingObserver final : public AttentionObserver {
public:
    /// `recorder` outlives this object, and so does `normsOf`, the model whose output value norms are recorded too (may
    /// be null). `layers`: of every layer its window, and as `rope` its variant in the recording.
    RecordingObserver(AttentionRecorder& recorder, std::vector<LayerOptions> layers, const Transformer* normsOf)
        : m_recorder(&recorder)
        , m_layers(std::move(layers))
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
        const LayerOptions& layer = m_layers[static_cast<std::size_t>(vectors.layer)];
        m_recorder->beginLayer(recorded, layer.window, layer.rope);
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
    std::vector<LayerOptions> m_layers;
    const Transformer* m_normsOf;
};

} // namespace kvloupe
