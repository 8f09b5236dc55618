// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/sparsity/sparsity_model.h"

#include <exception>
#include <utility>

namespace kvloupe {

SparsityModel::SparsityModel(QObject* parent)
    : QObject(parent)
    , m_generation(std::make_shared<std::atomic<std::uint64_t>>(0))
{
    m_worker.setMaxThreadCount(1);
}

SparsityModel::~SparsityModel()
{
    ++*m_generation;
    m_worker.clear();
    m_worker.waitForDone();
}

void SparsityModel::setRequest(SparsityRequest request)
{
    if (request == m_request)
        return;
    m_request = std::move(request);
    m_wanted = true;
    m_data.reset();
    m_problem.clear();
    ++*m_generation; // stops what is in hand
    setBusy(false);
    rebuild();
    startIfWanted();
}

void SparsityModel::setActive(bool active)
{
    m_active = active;
    startIfWanted();
}

void SparsityModel::stop()
{
    if (!m_busy)
        return;
    ++*m_generation;
    m_problem = tr("Measuring was stopped");
    setBusy(false);
    rebuild();
}

void SparsityModel::startIfWanted()
{
    if (!m_active || !m_wanted)
        return;
    m_wanted = false;
    if (m_request.recordings.empty())
        return;
    const std::uint64_t generation = ++*m_generation;
    setBusy(true);
    // This object outlives the job: its destructor waits.
    m_worker.start([this, generation, request = m_request, current = m_generation] {
        Outcome outcome;
        try {
            outcome.data = measureSparsity(request, [&](double fraction) {
                if (*current != generation)
                    return false;
                emit progressed(fraction);
                return true;
            });
        } catch (const std::exception& error) {
            outcome.problem = QString::fromUtf8(error.what());
        }
        QMetaObject::invokeMethod(
            this, [this, generation, outcome = std::move(outcome)]() mutable { adopt(generation, std::move(outcome)); },
            Qt::QueuedConnection);
    });
}

void SparsityModel::adopt(std::uint64_t generation, Outcome outcome)
{
    if (generation != *m_generation)
        return;
    m_data = std::move(outcome.data);
    m_problem = std::move(outcome.problem);
    setBusy(false);
    rebuild();
}

void SparsityModel::setMeasure(SparsityMeasure measure)
{
    if (measure == m_measure)
        return;
    m_measure = measure;
    rebuild();
}

void SparsityModel::setBusy(bool busy)
{
    if (std::exchange(m_busy, busy) != busy)
        emit busyChanged(busy);
}

void SparsityModel::rebuild()
{
    m_chart = m_data ? sparsityOverview(*m_data, m_measure) : Chart();
    emit changed();
}

} // namespace kvloupe
