// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/methods/keep_set.h"
#include "core/methods/method.h"
#include "core/replay/replay.h"
#include "views/methods/method_model.h"
#include "views/selection/selection.h"
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

/// What the methods of a MethodModel keep of the current sample at the budget of the Selection.
///
/// Evidence is gathered layer by layer on the recording's I/O thread, the layer in view first, and scored on a worker;
/// only scores stay (one float per KV head and token). Moving the budget re-selects from them: a layer that is asked
/// for at once, on the caller's thread; all layers, and what needs all of them (choosers of Model scope, layer
/// pruners), on a worker that drops budgets which are out of date. Nothing is scored again.
class ReplayModel final : public QObject {
    Q_OBJECT

public:
    /// One KeepSet per recorded layer, in the order of SampleModel::layers.
    using KeptLayers = std::shared_ptr<const std::vector<KeepSet>>;

    /// `methods` and `selection` outlive this object.
    ReplayModel(MethodModel* methods, Selection* selection, QObject* parent = nullptr);
    ~ReplayModel() override;

    /// `source` may be null: nothing is replayed then.
    void setSample(RecordingSource* source, SampleModelPtr sample);
    const SampleModelPtr& sample() const { return m_sample; }
    RecordingSource* source() const { return m_source; }

    std::int64_t promptTokens() const { return m_sample ? m_sample->info.promptTokens : 0; }
    /// Tokens a head keeps at this budget if nothing is rounded otherwise.
    std::int64_t requestedTokens() const;

    /// What the method in `row` keeps of a layer; null while it is not scored, or cannot be.
    const KeepSet* kept(int row, int layer);
    /// The same for one query head: positions ascending. Empty optional while there is no answer.
    std::optional<std::span<const std::int32_t>> keptPositions(int row, int layer, int queryHead);
    /// What it keeps of all layers; null until `chosen` says so.
    KeptLayers keptEverywhere(int row) const;
    /// Scores that decide on `layer`: those of the layer, or of all for methods that look at the whole model. Null
    /// while they are not there.
    std::shared_ptr<const ScoredSample> scored(int row, int layer) const;

    bool isComplete() const; ///< every shown method is scored on every layer, or failed
    bool isSettled() const; ///< the same, and keptEverywhere is there for them
    int layersDone() const;
    int layersTotal() const { return m_sample ? static_cast<int>(m_sample->layers.size()) : 0; }

signals:
    /// Kept sets of the head in view may differ: budget, methods, sample, head, or its layer was scored.
    void changed();
    /// keptEverywhere of some method is there.
    void chosen();
    void progressed(int layersDone, int layersTotal);
    void completed();

private:
    struct Track;
    struct LayerScores;
    struct Choice;

    void restart();
    void adoptMethods();
    void requestNext();
    void takeScores(std::uint64_t generation, std::shared_ptr<LayerScores> scored);
    void requestChoices();
    void takeChoice(std::uint64_t generation, std::shared_ptr<Choice> choice);
    void choose(Track& track, int layer);
    void refreshOutcomes();
    int layerIndex(int layer) const;
    const Track* trackOf(int row) const;
    Track* findTrack(std::uint64_t id);
    bool isShown(std::size_t row) const;

    MethodModel* m_methods;
    Selection* m_selection;
    QPointer<RecordingSource> m_source;
    SampleModelPtr m_sample;
    std::vector<std::unique_ptr<Track>> m_tracks; ///< one per row of the model
    std::map<int, std::vector<float>> m_lastRows; ///< by layer: [heads, P], attention of the last prompt query
    std::uint64_t m_nextTrack = 1;
    bool m_inFlight = false;
    bool m_announced = false;
    std::shared_ptr<std::atomic<std::uint64_t>> m_generation; ///< of sample and scores
    std::shared_ptr<std::atomic<std::uint64_t>> m_choiceGeneration; ///< of the budget as well
    QThreadPool m_workers;
    QThreadPool m_choosers;
};

/// Set of `keep` that a query head reads.
std::size_t setOfHead(const KeepSet& keep, int queryHead, const ModelInfo& model);

} // namespace kvloupe
