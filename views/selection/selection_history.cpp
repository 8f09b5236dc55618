// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/selection/selection_history.h"

#include <utility>

namespace kvloupe {

namespace {

constexpr int settleMilliseconds = 400;

} // namespace

SelectionHistory::SelectionHistory(Selection* selection, QObject* parent)
    : QObject(parent)
    , m_selection(selection)
    , m_back(new QAction(tr("&Back"), this))
    , m_forward(new QAction(tr("For&ward"), this))
{
    // Alt with arrows alone moves the cell on the map.
    m_back->setShortcut(QKeySequence(Qt::CTRL | Qt::ALT | Qt::Key_Left));
    m_forward->setShortcut(QKeySequence(Qt::CTRL | Qt::ALT | Qt::Key_Right));
    connect(m_back, &QAction::triggered, this, [this] { go(-1); });
    connect(m_forward, &QAction::triggered, this, [this] { go(1); });
    m_settle.setSingleShot(true);
    m_settle.setInterval(settleMilliseconds);
    connect(&m_settle, &QTimer::timeout, this, &SelectionHistory::settle);
    const auto wait = [this] { m_settle.start(); };
    connect(m_selection, &Selection::sampleChanged, this, wait);
    connect(m_selection, &Selection::headChanged, this, wait);
    connect(m_selection, &Selection::cellChanged, this, wait);
    connect(m_selection, &Selection::stepChanged, this, wait);
    connect(m_selection, &Selection::recordingChanged, this, &SelectionHistory::forget);
    updateActions();
}

SelectionHistory::Place SelectionHistory::here() const
{
    return {m_selection->sample(), m_selection->layer(), m_selection->head(), m_selection->query(), m_selection->key(),
        m_selection->step()};
}

void SelectionHistory::forget()
{
    m_settle.stop();
    m_places.clear();
    m_current = 0;
    m_isAwaited = false;
    updateActions();
}

void SelectionHistory::settle()
{
    m_settle.stop();
    const Place place = here();
    if (place.sample < 0 || (!m_places.empty() && m_places[m_current] == place))
        return;
    if (!m_places.empty())
        m_places.resize(m_current + 1); // a new way begins here
    m_places.push_back(place);
    if (m_places.size() > mostPlaces)
        m_places.erase(m_places.begin());
    m_current = m_places.size() - 1;
    updateActions();
}

void SelectionHistory::go(std::ptrdiff_t steps)
{
    settle(); // Back from a place that is not taken down yet leads to the one before it
    const std::ptrdiff_t target = static_cast<std::ptrdiff_t>(m_current) + steps;
    if (target < 0 || target >= static_cast<std::ptrdiff_t>(m_places.size()))
        return;
    m_current = static_cast<std::size_t>(target);
    const Place place = m_places[m_current];
    m_isAwaited = m_selection->sample() != place.sample;
    m_selection->setSample(place.sample);
    m_selection->setHead(place.layer, place.head);
    if (!m_isAwaited)
        restoreTokens();
    m_settle.stop();
    updateActions();
}

void SelectionHistory::sampleArrived()
{
    if (!std::exchange(m_isAwaited, false))
        return;
    restoreTokens();
    m_settle.stop();
}

void SelectionHistory::restoreTokens()
{
    const Place& place = m_places[m_current];
    m_selection->setCell(place.query, place.key);
    m_selection->setStep(place.step);
}

void SelectionHistory::updateActions()
{
    m_back->setEnabled(m_current > 0);
    m_forward->setEnabled(m_current + 1 < m_places.size());
}

} // namespace kvloupe
