// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/timeline/timeline_model.h"

#include "core/replay/recorded_decode_rows.h"
#include "views/methods/replay_model.h"
#include "views/session/open_recording.h"

#include <QLocale>

#include <algorithm>
#include <utility>

namespace kvloupe {

namespace {

constexpr std::chrono::milliseconds rest{80};

} // namespace

bool HeadLife::isAlive(std::int64_t token, std::int64_t step) const
{
    const std::int64_t gone = death(token);
    return birth(token) <= step && (gone < 0 || gone > step);
}

std::vector<std::int32_t> HeadLife::aliveAfter(std::int64_t step) const
{
    std::vector<std::int32_t> alive;
    for (std::int64_t token = 0; token < tokens(); ++token) {
        if (isAlive(token, step))
            alive.push_back(static_cast<std::int32_t>(token));
    }
    return alive;
}

QString HeadLife::stepText(std::int64_t step) const
{
    step = std::clamp<std::int64_t>(step, 0, steps);
    const QLocale locale;
    const QString when = step == 0 ? TimelineModel::tr("after the prompt")
                                   : TimelineModel::tr("after %n generated token(s)", nullptr, static_cast<int>(step));
    QString text = TimelineModel::tr("%1: %2 of %3 tokens in the cache")
                       .arg(when, locale.toString(static_cast<qlonglong>(aliveAfter(step).size())),
                           locale.toString(static_cast<qlonglong>(promptTokens + step)));
    if (missed && step > 0)
        text += TimelineModel::tr("; its query missed %1 % of its attention")
                    .arg(locale.toString(
                        100.0 * static_cast<double>(missed->lostMass[static_cast<std::size_t>(step - 1)]), 'f', 1));
    return text;
}

QString HeadLife::tokenText(std::int64_t token) const
{
    if (token < 0 || token >= tokens())
        return {};
    const QString name = TimelineModel::tr("token %1 \u201C%2\u201D").arg(token).arg(sample->tokens.label(token));
    const std::int64_t gone = death(token);
    if (gone < 0)
        return TimelineModel::tr("%1: in the cache to the end").arg(name);
    const QString when = gone == 0 ? TimelineModel::tr("%1: dropped after the prompt").arg(name)
                                   : TimelineModel::tr("%1: dropped after generated token %2").arg(name).arg(gone);
    const auto index = static_cast<std::size_t>(token);
    if (!missed || missed->wantedAt[index] == 0)
        return when;
    return TimelineModel::tr("%1; generated token %2 wanted it most (%3)")
        .arg(when)
        .arg(missed->wantedAt[index])
        .arg(static_cast<double>(missed->wantedMass[index]), 0, 'g', 3);
}

void HeadLife::fill(const Recording& recording, const ScoredSample& scored, const Budget& budget)
{
    CacheTimeline whole = Replay(recording).timeline(sample->sample, scored, budget);
    std::vector<HeadTimeline>& sets = whole.layers.at(layer);
    const int heads = sample->model.numHeads;
    timeline = std::move(sets[static_cast<std::size_t>(head) * sets.size() / static_cast<std::size_t>(heads)]);
    fidelity = whole.fidelity;
    promptTokens = whole.promptTokens;
    steps = whole.steps;
    if (steps == 0 || !recording.layer(sample->sample, layer).hasQueriesKeys)
        return;
    RecordedDecodeRows rows(recording, sample->sample, layer, steps);
    missed = missedAttention(timeline, promptTokens, steps, head, rows);
}

struct TimelineModel::Job {
    std::uint64_t generation = 0;
    std::shared_ptr<const ScoredSample> scored;
    Budget budget;
    HeadLife life;
    QString problem;
};

TimelineModel::TimelineModel(const ViewModels& models, QObject* parent)
    : QObject(parent)
    , m_models(models)
    , m_settled(models, rest, [this] { request(); })
    , m_generation(std::make_shared<std::atomic<std::uint64_t>>(0))
{
    connect(m_models.recording, &OpenRecording::sampleChanged, this, [this] { clear({}); });
}

TimelineModel::~TimelineModel()
{
    ++*m_generation;
}

bool TimelineModel::isSettled() const
{
    return !m_settled.isWanted() || (!m_isWorking && !m_settled.isPending());
}

void TimelineModel::clear(const QString& problem)
{
    ++*m_generation;
    m_isWorking = false;
    m_scored.reset();
    m_life.reset();
    m_problem = problem;
    emit changed();
}

void TimelineModel::request()
{
    const int row = m_models.methods->current();
    const int layer = m_models.selection->layer();
    const int head = m_models.selection->head();
    const std::shared_ptr<const ScoredSample> scored = m_models.replay->scored(row, layer);
    RecordingSource* source = m_models.recording->source();
    if (!scored || !source) {
        const QString problem
            = row < 0 ? QString() : m_models.methods->entries()[static_cast<std::size_t>(row)].problem;
        if (m_life || m_problem != problem || m_isWorking)
            clear(problem);
        return;
    }
    const Budget budget = m_models.selection->budget();
    if (scored == m_scored && budget.text() == m_budget && layer == m_layer && head == m_head)
        return;
    m_scored = scored;
    m_budget = budget.text();
    m_layer = layer;
    m_head = head;
    auto job = std::make_shared<Job>();
    job->generation = ++*m_generation;
    job->scored = scored;
    job->budget = budget;
    job->life.sample = m_models.replay->sample();
    job->life.layer = layer;
    job->life.head = head;
    const MethodModel::Entry& entry = m_models.methods->entries()[static_cast<std::size_t>(row)];
    job->life.method = entry.title;
    job->life.color = entry.color;
    m_isWorking = true;
    // What is on show stays until the new life is there.
    source->run<std::shared_ptr<Job>>(
        this, RecordingSource::Priority::Background,
        [job](RecordingAccess& access) {
            try {
                job->life.fill(access.recording, *job->scored, job->budget);
            } catch (const std::exception& error) {
                job->problem = QString::fromUtf8(error.what());
            }
            return job;
        },
        [this](std::shared_ptr<Job> done) { take(done); },
        [generation = job->generation, current = m_generation] { return generation != *current; });
}

void TimelineModel::take(const std::shared_ptr<Job>& job)
{
    if (job->generation != *m_generation)
        return;
    m_isWorking = false;
    m_problem = job->problem;
    m_life = job->problem.isEmpty() ? std::make_shared<const HeadLife>(std::move(job->life)) : nullptr;
    emit changed();
}

} // namespace kvloupe
