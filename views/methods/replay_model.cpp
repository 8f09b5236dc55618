// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/replay_model.h"

#include "core/replay/evidence_builder.h"
#include "core/replay/replay.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace kvloupe {

/// One method: its scores by layer, and what they give at the present budget.
struct ReplayModel::Track {
    std::uint64_t id = 0;
    Method method;
    /// By recorded layer, one layer each. A method that looks at the whole model waits here until all layers are in.
    std::vector<std::optional<ScoredSample>> layers;
    std::optional<ScoredSample> whole; ///< Model scope only
    std::vector<std::optional<KeepSet>> kept; ///< by recorded layer, at the present budget
    QString problem;

    bool isFinished(std::size_t layer) const { return !problem.isEmpty() || layers[layer].has_value(); }
    bool seesWholeModel() const { return method.chooser && method.chooser->scope() == ChooserScope::Model; }
};

/// What one layer gave: scores, or a problem, by track; and the last query's attention for the retained mass.
struct ReplayModel::LayerScores {
    struct Part {
        std::uint64_t track = 0;
        Method method;
        OwnedEvidence evidence; ///< of its own; empty = the shared one serves
        bool ownsEvidence = false;
        std::optional<ScoredSample> scored;
        QString problem;
    };
    std::size_t layerIndex = 0;
    int layer = 0;
    OwnedEvidence shared;
    std::vector<Part> parts;
    std::vector<float> lastRow;
};

ReplayModel::ReplayModel(MethodModel* methods, QObject* parent)
    : QObject(parent)
    , m_methods(methods)
    , m_generation(std::make_shared<std::atomic<std::uint64_t>>(0))
{
    m_workers.setMaxThreadCount(1);
    connect(m_methods, &MethodModel::methodsChanged, this, &ReplayModel::adoptMethods);
    adoptMethods();
}

ReplayModel::~ReplayModel()
{
    ++*m_generation;
    m_workers.waitForDone();
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
    m_inFlight = false;
    m_announced = false;
    m_lastRows.clear();
    m_tracks.clear();
    adoptMethods();
}

void ReplayModel::setHead(int layer, int queryHead)
{
    if (m_layer == layer && m_head == queryHead)
        return;
    m_layer = layer;
    m_head = queryHead;
    refreshOutcomes();
    emit changed();
}

void ReplayModel::setKeepPermille(int permille)
{
    permille = std::clamp(permille, 1, 1000);
    if (permille == m_keepPermille)
        return;
    m_keepPermille = permille;
    for (const auto& track : m_tracks)
        std::ranges::fill(track->kept, std::nullopt);
    refreshOutcomes();
    emit changed();
}

Budget ReplayModel::budget() const
{
    return m_keepPermille == 1000 ? Budget::keep("1")
                                  : Budget::keep("0." + std::to_string(1000 + m_keepPermille).substr(1));
}

std::int64_t ReplayModel::requestedTokens() const
{
    return m_sample ? budget().tokensKept(m_sample->info.promptTokens) : 0;
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
        if (!entry.method.chooser)
            track->problem = tr("%1 decides on the way through the layers, which needs a live run").arg(entry.title);
        tracks.push_back(std::move(track));
    }
    m_tracks = std::move(tracks);
    refreshOutcomes();
    emit changed();
    requestNext();
}

int ReplayModel::layerIndex(int layer) const
{
    if (!m_sample)
        return -1;
    const auto found = std::ranges::find(m_sample->layers, layer, &LayerInfo::layer);
    return found == m_sample->layers.end() ? -1 : static_cast<int>(found - m_sample->layers.begin());
}

ReplayModel::Track* ReplayModel::trackOf(int row)
{
    return row >= 0 && row < static_cast<int>(m_tracks.size()) ? m_tracks[static_cast<std::size_t>(row)].get()
                                                               : nullptr;
}

int ReplayModel::layersDone() const
{
    int done = 0;
    for (std::size_t layer = 0; layer < static_cast<std::size_t>(layersTotal()); ++layer) {
        bool finished = true;
        for (std::size_t row = 0; row < m_tracks.size(); ++row)
            finished &= !m_methods->entries()[row].shown || m_tracks[row]->isFinished(layer);
        done += finished ? 1 : 0;
    }
    return done;
}

bool ReplayModel::isComplete() const
{
    return layersDone() == layersTotal();
}

void ReplayModel::requestNext()
{
    if (!m_source || !m_sample || m_inFlight)
        return;
    const std::size_t count = m_sample->layers.size();
    const int inView = layerIndex(m_layer);
    auto job = std::make_shared<LayerScores>();
    for (std::size_t step = 0; step < count && job->parts.empty(); ++step) {
        // The layer in view, then the others in order.
        const std::size_t first = inView < 0 ? 0 : static_cast<std::size_t>(inView);
        const std::size_t layer = (first + step) % count;
        for (std::size_t row = 0; row < m_tracks.size(); ++row) {
            const Track& track = *m_tracks[row];
            if (m_methods->entries()[row].shown && !track.isFinished(layer))
                job->parts.push_back({track.id, track.method, {}, false, std::nullopt, {}});
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
        for (const LayerScores::Part& part : job->parts)
            needs.merge(part.method.needs(sample->layout));
        try {
            job->shared = builder.build(sample->sample, job->layer, needs);
            return job;
        } catch (const Error&) {
            // Something was not recorded; what each method needs for itself may still be there.
        }
        for (LayerScores::Part& part : job->parts) {
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
                    part.scored.emplace(part.method, sample->layout, std::span(&evidence, 1), sample->sample);
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
    for (LayerScores::Part& part : scored->parts) {
        const auto found = std::ranges::find(m_tracks, part.track, &Track::id);
        if (found == m_tracks.end())
            continue;
        if (part.problem.isEmpty())
            (*found)->layers[scored->layerIndex] = std::move(part.scored);
        else
            (*found)->problem = part.problem;
    }
    if (!scored->lastRow.empty())
        m_lastRows[scored->layer] = std::move(scored->lastRow);
    emit progressed(layersDone(), layersTotal());
    const bool everyLayerMatters
        = std::ranges::any_of(m_tracks, [](const auto& track) { return track->seesWholeModel(); });
    if (scored->layer == m_layer || (everyLayerMatters && isComplete())) {
        refreshOutcomes();
        emit changed();
    }
    requestNext();
}

void ReplayModel::choose(Track& track, int index)
{
    const auto at = static_cast<std::size_t>(index);
    if (!track.problem.isEmpty() || track.kept[at])
        return;
    try {
        if (!track.seesWholeModel()) {
            if (track.layers[at])
                track.kept[at] = track.layers[at]->chooseLayer(budget(), m_sample->layers[at].layer);
            return;
        }
        if (!track.whole) {
            std::vector<Scores> scores;
            std::vector<int> numbers;
            for (const auto& layer : track.layers) {
                if (!layer)
                    return;
                scores.push_back(layer->scores().front());
                numbers.push_back(layer->layers().front());
            }
            track.whole.emplace(track.method, m_sample->layout, std::move(numbers), std::move(scores),
                m_sample->model.numLayers, m_sample->model.numKvHeads, m_sample->sample);
        }
        ReplayResult result = track.whole->choose(budget());
        for (std::size_t layer = 0; layer < track.kept.size(); ++layer)
            track.kept[layer] = std::move(result.kept.at(m_sample->layers[layer].layer));
    } catch (const std::exception& error) {
        track.problem = QString::fromStdString(error.what());
    }
}

const KeepSet* ReplayModel::kept(int row, int layer)
{
    Track* track = trackOf(row);
    const int index = layerIndex(layer);
    if (!track || index < 0)
        return nullptr;
    choose(*track, index);
    const auto& set = track->kept[static_cast<std::size_t>(index)];
    return set ? &*set : nullptr;
}

std::optional<std::span<const std::int32_t>> ReplayModel::keptPositions(int row, int layer, int queryHead)
{
    const KeepSet* set = kept(row, layer);
    if (!set || set->sets.empty() || queryHead < 0 || queryHead >= m_sample->model.numHeads)
        return std::nullopt;
    const int index
        = set->granularity == Granularity::QueryHead ? queryHead : queryHead / std::max(1, m_sample->model.groupSize());
    return std::span<const std::int32_t>(set->sets[std::min(static_cast<std::size_t>(index), set->sets.size() - 1)]);
}

void ReplayModel::refreshOutcomes()
{
    if (static_cast<int>(m_tracks.size()) != m_methods->rowCount())
        return;
    for (int row = 0; row < m_methods->rowCount(); ++row) {
        std::optional<MethodOutcome> outcome;
        if (m_methods->entries()[static_cast<std::size_t>(row)].shown) {
            if (const auto positions = keptPositions(row, m_layer, m_head)) {
                const std::int64_t prompt = std::max<std::int64_t>(1, m_sample->info.promptTokens);
                outcome.emplace();
                outcome->keptTokens = static_cast<std::int64_t>(positions->size());
                outcome->share = static_cast<double>(positions->size()) / static_cast<double>(prompt);
                const auto rows = m_lastRows.find(m_layer);
                const auto begin = static_cast<std::size_t>(m_head) * static_cast<std::size_t>(prompt);
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
