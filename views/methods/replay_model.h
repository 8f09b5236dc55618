// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/budget.h"
#include "core/methods/keep_set.h"
#include "core/methods/method.h"
#include "views/methods/method_model.h"
#include "views/session/recording_source.h"
#include "views/session/sample_model.h"

#include <QObject>
#include <QPointer>
#include <QThreadPool>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace kvloupe {

/// What the methods of a MethodModel keep of the current sample.
///
/// Evidence is gathered layer by layer on the recording's I/O thread, the layer in view first, and scored on a worker;
/// only scores stay (one float per KV head and token). Moving the budget re-selects from them: the layer that is asked
/// for at once, on the caller's thread; nothing is read and nothing is scored again.
class ReplayModel final : public QObject {
    Q_OBJECT

public:
    /// `methods` outlives this object.
    explicit ReplayModel(MethodModel* methods, QObject* parent = nullptr);
    ~ReplayModel() override;

    /// `source` may be null: nothing is replayed then.
    void setSample(RecordingSource* source, SampleModelPtr sample);
    /// The head in view: its layer is scored next, its outcome is shown in the table.
    void setHead(int layer, int queryHead);

    /// Share of the prompt that is kept, in tenths of a percent: 1 ... 1000.
    int keepPermille() const { return m_keepPermille; }
    void setKeepPermille(int permille);
    Budget budget() const;
    std::int64_t promptTokens() const { return m_sample ? m_sample->info.promptTokens : 0; }
    /// Tokens a head keeps at this budget if nothing is rounded otherwise.
    std::int64_t requestedTokens() const;

    /// What the method in `row` keeps of a layer; null while it is not scored, or cannot be.
    const KeepSet* kept(int row, int layer);
    /// The same for one query head: positions ascending. Empty optional while there is no answer.
    std::optional<std::span<const std::int32_t>> keptPositions(int row, int layer, int queryHead);

    bool isComplete() const; ///< every shown method is scored on every layer, or failed
    int layersDone() const;
    int layersTotal() const { return m_sample ? static_cast<int>(m_sample->layers.size()) : 0; }

signals:
    /// Kept sets of the head in view may differ: budget, methods, sample, head, or its layer was scored.
    void changed();
    void progressed(int layersDone, int layersTotal);
    void completed();

private:
    struct Track;
    struct LayerScores;

    void restart();
    void adoptMethods();
    void requestNext();
    void takeScores(std::uint64_t generation, std::shared_ptr<LayerScores> scored);
    void choose(Track& track, int layer);
    void refreshOutcomes();
    int layerIndex(int layer) const;
    Track* trackOf(int row);

    MethodModel* m_methods;
    QPointer<RecordingSource> m_source;
    SampleModelPtr m_sample;
    std::vector<std::unique_ptr<Track>> m_tracks; ///< one per row of the model
    std::map<int, std::vector<float>> m_lastRows; ///< by layer: [heads, P], attention of the last prompt query
    int m_layer = -1;
    int m_head = -1;
    int m_keepPermille = 300;
    std::uint64_t m_nextTrack = 1;
    bool m_inFlight = false;
    bool m_announced = false;
    std::shared_ptr<std::atomic<std::uint64_t>> m_generation;
    QThreadPool m_workers;
};

} // namespace kvloupe
