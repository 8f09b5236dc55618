// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/explanation_model.h"

#include "views/methods/replay_model.h"
#include "views/session/open_recording.h"

#include <optional>
#include <utility>
#include <vector>

namespace kvloupe {

namespace {

constexpr std::chrono::milliseconds rest{60};

} // namespace

struct ExplanationModel::Job {
    std::uint64_t generation = 0;
    SampleModelPtr sample;
    std::shared_ptr<const ScoredSample> scored;
    std::shared_ptr<const ScoredSample> unpooled;
    Budget budget;
    std::shared_ptr<const Explanation> explanation;
    QString problem;
};

ExplanationModel::ExplanationModel(const ViewModels& models, QObject* parent)
    : QObject(parent)
    , m_models(models)
    , m_settled(models, rest, [this] { request(); })
    , m_generation(std::make_shared<std::atomic<std::uint64_t>>(0))
{
    m_worker.setMaxThreadCount(1);
}

ExplanationModel::~ExplanationModel()
{
    ++*m_generation;
    m_worker.waitForDone();
}

bool ExplanationModel::isSettled() const
{
    return !m_settled.isWanted() || (!m_isWorking && !m_settled.isPending());
}

void ExplanationModel::request()
{
    const int row = m_models.methods->current();
    std::shared_ptr<const ScoredSample> scored = m_models.replay->scored(row, m_models.selection->layer());
    const Budget budget = m_models.selection->budget();
    if (scored == m_scored && (!scored || budget.text() == m_budget))
        return;
    auto job = std::make_shared<Job>();
    job->generation = ++*m_generation;
    if (scored == m_scored)
        job->unpooled = m_unpooled;
    m_scored = scored;
    m_budget = budget.text();
    m_unpooled = job->unpooled;
    m_explanation.reset();
    m_problem.clear();
    m_isWorking = scored != nullptr;
    emit changed();
    if (!scored)
        return;
    job->sample = m_models.replay->sample();
    job->scored = std::move(scored);
    job->budget = budget;
    if (!job->unpooled && job->scored->method().withoutPooling())
        gather(std::move(job));
    else
        explainOnWorker(std::move(job));
}

/// Scores once more without pooling, where the recording is read.
void ExplanationModel::gather(std::shared_ptr<Job> job)
{
    RecordingSource* source = m_models.recording->source();
    if (!source) {
        m_isWorking = false;
        return;
    }
    source->run<std::shared_ptr<Job>>(
        this, RecordingSource::Priority::Visible,
        [job](RecordingAccess& access) {
            const EvidenceBuilder builder(access.recording);
            const Method unpooled = job->scored->method().withoutPooling().value();
            std::vector<std::shared_ptr<const ScoredSample>> layers;
            try {
                for (const int layer : job->scored->layers()) {
                    const OwnedEvidence evidence
                        = builder.build(job->sample->sample, layer, unpooled.needs(job->sample->layout));
                    layers.push_back(std::make_shared<ScoredSample>(
                        unpooled, job->sample->layout, std::span(&evidence.view, 1), job->sample->sample));
                }
                job->unpooled = std::make_shared<ScoredSample>(ScoredSample::join(layers));
            } catch (const Error& error) {
                job->problem = QString::fromUtf8(error.what());
            }
            return job;
        },
        [this](std::shared_ptr<Job> gathered) {
            if (gathered->generation == *m_generation)
                explainOnWorker(std::move(gathered));
        },
        [generation = job->generation, current = m_generation] { return generation != *current; });
}

void ExplanationModel::explainOnWorker(std::shared_ptr<Job> job)
{
    m_worker.start([this, job = std::move(job), current = m_generation] {
        if (job->generation != *current)
            return;
        try {
            if (job->problem.isEmpty())
                job->explanation
                    = std::make_shared<const Explanation>(explain(*job->scored, job->budget, job->unpooled.get()));
        } catch (const std::exception& error) {
            job->problem = QString::fromUtf8(error.what());
        }
        QMetaObject::invokeMethod(
            this, [this, job] { take(job); }, Qt::QueuedConnection);
    });
}

void ExplanationModel::take(const std::shared_ptr<Job>& job)
{
    if (job->generation != *m_generation)
        return;
    m_isWorking = false;
    m_unpooled = job->unpooled;
    m_explanation = job->explanation;
    m_problem = job->problem;
    emit changed();
}

} // namespace kvloupe
