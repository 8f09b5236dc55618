// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/replay_model.h"

#include "core/replay/evidence_builder.h"
#include "core/replay/layer_pruning.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace kvloupe {

/// One method: its scores by layer, and what they give at the present budget.
struct ReplayModel::Track {
    std::uint64_t id = 0;
    Method method;
    /// By recorded layer, one layer each. They wait here until all are in if the method looks at the whole model.
    std::vector<std::shared_ptr<const ScoredSample>> layers;
    std::shared_ptr<const ScoredSample> whole; ///< of a method that looks at the whole model
    std::shared_ptr<const LayerPruning> pruning;
    std::vector<std::optional<KeepSet>> kept; ///< by recorded layer, at the present budget
    KeptLayers everywhere; ///< at the present budget
    QString problem;

    bool isFinished(std::size_t layer) const { return !problem.isEmpty() || whole || layers[layer]; }
    bool isFinished() const
    {
        return !problem.isEmpty() || whole || std::ranges::none_of(layers, [](const auto& layer) { return !layer; });
    }
    bool seesWholeModel() const { return !method.chooser || method.chooser->scope() == ChooserScope::Model; }
};

/// What one layer gave: scores, or a problem, by track; and the last query's attention for the retained mass.
struct ReplayModel::LayerScores {
    struct Part {
        std::uint64_t track = 0;
        Method method;
        OwnedEvidence evidence; ///< of its own; empty = the shared one serves
        bool ownsEvidence = false;
        std::shared_ptr<const LayerPruning> pruning;
        std::shared_ptr<const ScoredSample> scored;
        QString problem;
    };
    std::size_t layerIndex = 0;
    int layer = 0;
    OwnedEvidence shared;
    std::vector<Part> parts;
    std::vector<float> lastRow;
};

/// One method cut at one budget on all layers; made and filled on a worker.
struct ReplayModel::Choice {
    std::uint64_t track = 0;
    std::vector<std::shared_ptr<const ScoredSample>> layers; ///< empty once `whole` is there
    std::shared_ptr<const ScoredSample> whole;
    std::shared_ptr<const LayerPruning> pruning;
    bool seesWholeModel = false;
    Budget budget;
    SampleModelPtr sample;
    std::vector<KeepSet> kept;
    QString problem;

    void make()
    {
        if (!seesWholeModel) {
            kept = chooseLayers(layers, budget);
            return;
        }
        if (!whole)
            whole = std::make_shared<ScoredSample>(ScoredSample::join(layers, pruning));
        ReplayResult result = whole->choose(budget);
        for (const LayerInfo& layer : sample->layers)
            kept.push_back(std::move(result.kept.at(layer.layer)));
    }
};

ReplayModel::ReplayModel(MethodModel* methods, Selection* selection, QObject* parent)
    : QObject(parent)
    , m_methods(methods)
    , m_selection(selection)
    , m_generation(std::make_shared<std::atomic<std::uint64_t>>(0))
    , m_choiceGeneration(std::make_shared<std::atomic<std::uint64_t>>(0))
{
    m_workers.setMaxThreadCount(1);
    m_choosers.setMaxThreadCount(1);
    connect(m_methods, &MethodModel::methodsChanged, this, &ReplayModel::adoptMethods);
    connect(m_selection, &Selection::headChanged, this, [this] {
        refreshOutcomes();
        emit changed();
    });
    connect(m_selection, &Selection::keepChanged, this, [this] {
        for (const auto& track : m_tracks) {
            std::ranges::fill(track->kept, std::nullopt);
            track->everywhere.reset();
        }
        refreshOutcomes();
        emit changed();
        requestChoices();
    });
    adoptMethods();
}

ReplayModel::~ReplayModel()
{
    ++*m_generation;
    ++*m_choiceGeneration;
    m_workers.waitForDone();
    m_choosers.waitForDone();
}

void ReplayModel::setSample(RecordingSource* source, SampleModelPtr sample)
{
    m_source = source;
    m_sample = std::move(sample);
    restart();
}

void ReplayModel::restart()
{
    ++*m_generation;
    ++*m_choiceGeneration;
    m_inFlight = false;
    m_announced = false;
    m_lastRows.clear();
    m_tracks.clear();
    adoptMethods();
}

std::int64_t ReplayModel::requestedTokens() const
{
    return m_sample ? m_selection->budget().tokensKept(m_sample->info.promptTokens) : 0;
}

void ReplayModel::adoptMethods()
{
    const std::size_t layers = m_sample ? m_sample->layers.size() : 0;
    std::vector<std::unique_ptr<Track>> tracks;
    for (const MethodModel::Entry& entry : m_methods->entries()) {
        const auto known = std::ranges::find_if(m_tracks, [&](const std::unique_ptr<Track>& track) {
            return track && track->method.name == entry.method.name
                && track->method.parameters == entry.method.parameters;
        });
        if (known != m_tracks.end()) {
            tracks.push_back(std::move(*known));
            continue;
        }
        auto track = std::make_unique<Track>();
        track->id = m_nextTrack++;
        track->method = entry.method;
        track->layers.resize(layers);
        track->kept.resize(layers);
        tracks.push_back(std::move(track));
    }
    m_tracks = std::move(tracks);
    refreshOutcomes();
    emit changed();
    requestNext();
    requestChoices();
}

bool ReplayModel::isShown(std::size_t row) const
{
    return m_methods->entries()[row].shown;
}

int ReplayModel::layerIndex(int layer) const
{
    if (!m_sample)
        return -1;
    const auto found = std::ranges::find(m_sample->layers, layer, &LayerInfo::layer);
    return found == m_sample->layers.end() ? -1 : static_cast<int>(found - m_sample->layers.begin());
}

const ReplayModel::Track* ReplayModel::trackOf(int row) const
{
    return row >= 0 && row < static_cast<int>(m_tracks.size()) ? m_tracks[static_cast<std::size_t>(row)].get()
                                                               : nullptr;
}

ReplayModel::Track* ReplayModel::findTrack(std::uint64_t id)
{
    const auto found = std::ranges::find(m_tracks, id, &Track::id);
    return found == m_tracks.end() ? nullptr : found->get();
}

int ReplayModel::layersDone() const
{
    int done = 0;
    for (std::size_t layer = 0; layer < static_cast<std::size_t>(layersTotal()); ++layer) {
        bool finished = true;
        for (std::size_t row = 0; row < m_tracks.size(); ++row)
            finished &= !isShown(row) || m_tracks[row]->isFinished(layer);
        done += finished ? 1 : 0;
    }
    return done;
}

bool ReplayModel::isComplete() const
{
    return layersDone() == layersTotal();
}

bool ReplayModel::isSettled() const
{
    if (!isComplete())
        return false;
    for (std::size_t row = 0; row < m_tracks.size(); ++row)
        if (isShown(row) && m_sample && m_tracks[row]->problem.isEmpty() && !m_tracks[row]->everywhere)
            return false;
    return true;
}

void ReplayModel::requestNext()
{
    if (!m_source || !m_sample || m_inFlight)
        return;
    const std::size_t count = m_sample->layers.size();
    const int inView = layerIndex(m_selection->layer());
    auto job = std::make_shared<LayerScores>();
    for (std::size_t step = 0; step < count && job->parts.empty(); ++step) {
        // The layer in view, then the others in order.
        const std::size_t first = inView < 0 ? 0 : static_cast<std::size_t>(inView);
        const std::size_t layer = (first + step) % count;
        for (std::size_t row = 0; row < m_tracks.size(); ++row) {
            const Track& track = *m_tracks[row];
            if (isShown(row) && !track.isFinished(layer)) {
                LayerScores::Part& part = job->parts.emplace_back();
                part.track = track.id;
                part.method = track.method;
                part.pruning = track.pruning;
            }
        }
        job->layerIndex = layer;
        job->layer = m_sample->layers[layer].layer;
    }
    if (job->parts.empty()) {
        if (!std::exchange(m_announced, true))
            emit completed();
        return;
    }

    m_announced = false;
    m_inFlight = true;
    const std::uint64_t generation = *m_generation;
    const auto work = [job, sample = m_sample](RecordingAccess& access) {
        const EvidenceBuilder builder(access.recording);
        EvidenceNeeds needs;
        needs.lastRows = 1;
        for (LayerScores::Part& part : job->parts) {
            needs.merge(part.method.needs(sample->layout));
            if (!part.method.layerPruner || part.pruning)
                continue;
            try {
                part.pruning
                    = std::make_shared<LayerPruning>(access.recording, sample->sample, part.method.layerPruner);
            } catch (const Error& error) {
                part.problem = QString::fromStdString(error.what());
            }
        }
        try {
            job->shared = builder.build(sample->sample, job->layer, needs);
            return job;
        } catch (const Error&) {
            // Something was not recorded; what each method needs for itself may still be there.
        }
        for (LayerScores::Part& part : job->parts) {
            if (!part.problem.isEmpty())
                continue;
            try {
                part.evidence = builder.build(sample->sample, job->layer, part.method.needs(sample->layout));
                part.ownsEvidence = true;
            } catch (const Error& error) {
                part.problem = QString::fromStdString(error.what());
            }
        }
        return job;
    };
    const auto deliver = [this, generation, sample = m_sample](std::shared_ptr<LayerScores> gathered) {
        if (generation != *m_generation)
            return;
        m_workers.start([this, generation, sample, gathered = std::move(gathered), current = m_generation] {
            if (generation != *current)
                return;
            gathered->shared.bind();
            const LayerEvidence& shared = gathered->shared.view;
            if (shared.lastRowCount > 0) {
                for (int head = 0; head < shared.queryHeads; ++head) {
                    // A layer with a sliding window has no columns before its first position.
                    const auto row = shared.lastRow(head, shared.lastRowCount - 1);
                    gathered->lastRow.insert(
                        gathered->lastRow.end(), static_cast<std::size_t>(shared.firstPosition), 0.0F);
                    gathered->lastRow.insert(gathered->lastRow.end(), row.begin(), row.end());
                }
            }
            for (LayerScores::Part& part : gathered->parts) {
                if (!part.problem.isEmpty())
                    continue;
                part.evidence.bind();
                const LayerEvidence& evidence = part.ownsEvidence ? part.evidence.view : shared;
                try {
                    part.scored = std::make_shared<ScoredSample>(
                        part.method, sample->layout, std::span(&evidence, 1), sample->sample);
                } catch (const Error& error) {
                    part.problem = QString::fromStdString(error.what());
                }
                part.evidence = {};
            }
            gathered->shared = {};
            QMetaObject::invokeMethod(
                this, [this, generation, gathered] { takeScores(generation, gathered); }, Qt::QueuedConnection);
        });
    };
    m_source->run<std::shared_ptr<LayerScores>>(this,
        job->layerIndex == static_cast<std::size_t>(std::max(0, inView)) ? RecordingSource::Priority::Visible
                                                                         : RecordingSource::Priority::Background,
        work, deliver, [generation, current = m_generation] { return generation != *current; });
}

void ReplayModel::takeScores(std::uint64_t generation, std::shared_ptr<LayerScores> scored)
{
    if (generation != *m_generation)
        return;
    m_inFlight = false;
    bool becameFinished = false;
    for (LayerScores::Part& part : scored->parts) {
        Track* track = findTrack(part.track);
        if (!track)
            continue;
        if (part.problem.isEmpty()) {
            track->layers[scored->layerIndex] = std::move(part.scored);
            track->pruning = std::move(part.pruning);
        } else {
            track->problem = part.problem;
        }
        becameFinished |= track->isFinished();
    }
    if (!scored->lastRow.empty())
        m_lastRows[scored->layer] = std::move(scored->lastRow);
    emit progressed(layersDone(), layersTotal());
    if (scored->layer == m_selection->layer()) {
        refreshOutcomes();
        emit changed();
    }
    requestNext();
    if (becameFinished)
        requestChoices();
}

void ReplayModel::requestChoices()
{
    const std::uint64_t generation = ++*m_choiceGeneration;
    // What is slow to choose comes last.
    std::vector<std::shared_ptr<Choice>> choices;
    for (const bool prunes : {false, true}) {
        for (std::size_t row = 0; row < m_tracks.size() && m_sample; ++row) {
            const Track& track = *m_tracks[row];
            const bool isWanted = isShown(row) && track.problem.isEmpty() && track.isFinished() && !track.everywhere;
            if (!isWanted || m_sample->layers.empty() || prunes != (track.pruning != nullptr))
                continue;
            auto choice = std::make_shared<Choice>();
            choice->track = track.id;
            if (!track.whole)
                choice->layers = track.layers;
            choice->whole = track.whole;
            choice->pruning = track.pruning;
            choice->seesWholeModel = track.seesWholeModel();
            choice->budget = m_selection->budget();
            choice->sample = m_sample;
            choices.push_back(std::move(choice));
        }
    }
    for (const std::shared_ptr<Choice>& choice : choices) {
        m_choosers.start([this, generation, choice, current = m_choiceGeneration] {
            if (generation != *current)
                return;
            try {
                choice->make();
            } catch (const std::exception& error) {
                choice->problem = QString::fromUtf8(error.what());
            }
            QMetaObject::invokeMethod(
                this, [this, generation, choice] { takeChoice(generation, choice); }, Qt::QueuedConnection);
        });
    }
}

void ReplayModel::takeChoice(std::uint64_t generation, std::shared_ptr<Choice> choice)
{
    Track* track = findTrack(choice->track);
    if (!track || choice->sample != m_sample)
        return;
    if (choice->whole && !track->whole) {
        track->whole = choice->whole;
        track->layers.assign(track->layers.size(), nullptr);
    }
    if (generation != *m_choiceGeneration)
        return;
    track->problem = choice->problem;
    if (choice->problem.isEmpty()) {
        std::ranges::copy(choice->kept, track->kept.begin());
        track->everywhere = std::make_shared<const std::vector<KeepSet>>(std::move(choice->kept));
    }
    if (choice->seesWholeModel) {
        refreshOutcomes();
        emit changed();
    }
    emit chosen();
}

void ReplayModel::choose(Track& track, int index)
{
    const auto at = static_cast<std::size_t>(index);
    if (!track.problem.isEmpty() || track.kept[at] || track.seesWholeModel() || !track.layers[at])
        return;
    try {
        track.kept[at] = track.layers[at]->chooseLayer(m_selection->budget(), m_sample->layers[at].layer);
    } catch (const std::exception& error) {
        track.problem = QString::fromUtf8(error.what());
    }
}

const KeepSet* ReplayModel::kept(int row, int layer)
{
    const int index = layerIndex(layer);
    if (!trackOf(row) || index < 0)
        return nullptr;
    Track& track = *m_tracks[static_cast<std::size_t>(row)];
    choose(track, index);
    const auto& set = track.kept[static_cast<std::size_t>(index)];
    return set ? &*set : nullptr;
}

ReplayModel::KeptLayers ReplayModel::keptEverywhere(int row) const
{
    const Track* track = trackOf(row);
    return track ? track->everywhere : nullptr;
}

std::shared_ptr<const ScoredSample> ReplayModel::scored(int row, int layer) const
{
    const Track* track = trackOf(row);
    const int index = layerIndex(layer);
    if (!track || index < 0)
        return nullptr;
    return track->seesWholeModel() ? track->whole : track->layers[static_cast<std::size_t>(index)];
}

std::size_t setOfHead(const KeepSet& keep, int queryHead, const ModelInfo& model)
{
    const int index
        = keep.granularity == Granularity::QueryHead ? queryHead : queryHead / std::max(1, model.groupSize());
    return std::min(static_cast<std::size_t>(std::max(0, index)), keep.sets.size() - 1);
}

std::optional<std::span<const std::int32_t>> ReplayModel::keptPositions(int row, int layer, int queryHead)
{
    const KeepSet* set = kept(row, layer);
    if (!set || set->sets.empty() || queryHead < 0 || queryHead >= m_sample->model.numHeads)
        return std::nullopt;
    return std::span<const std::int32_t>(set->sets[setOfHead(*set, queryHead, m_sample->model)]);
}

void ReplayModel::refreshOutcomes()
{
    if (static_cast<int>(m_tracks.size()) != m_methods->rowCount())
        return;
    for (int row = 0; row < m_methods->rowCount(); ++row) {
        std::optional<MethodOutcome> outcome;
        if (isShown(static_cast<std::size_t>(row))) {
            if (const auto positions = keptPositions(row, m_selection->layer(), m_selection->head())) {
                const std::int64_t prompt = std::max<std::int64_t>(1, m_sample->info.promptTokens);
                outcome.emplace();
                outcome->keptTokens = static_cast<std::int64_t>(positions->size());
                outcome->share = static_cast<double>(positions->size()) / static_cast<double>(prompt);
                const auto rows = m_lastRows.find(m_selection->layer());
                const auto begin = static_cast<std::size_t>(m_selection->head()) * static_cast<std::size_t>(prompt);
                if (rows != m_lastRows.end() && begin + static_cast<std::size_t>(prompt) <= rows->second.size()) {
                    const float* row0 = rows->second.data() + begin;
                    outcome->retainedMass = std::accumulate(
                        positions->begin(), positions->end(), 0.0, [&](double sum, std::int32_t position) {
                            return position < prompt ? sum + static_cast<double>(row0[position]) : sum;
                        });
                }
            }
        }
        m_methods->setOutcome(row, outcome, m_tracks[static_cast<std::size_t>(row)]->problem);
    }
}

} // namespace kvloupe
