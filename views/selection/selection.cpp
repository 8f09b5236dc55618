// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/selection/selection.h"

#include <algorithm>
#include <utility>

namespace kvloupe {

Budget Selection::budget() const
{
    return m_keepPermille == 1000 ? Budget::keep("1")
                                  : Budget::keep("0." + std::to_string(1000 + m_keepPermille).substr(1));
}

void Selection::setRecording(const std::filesystem::path& path)
{
    if (m_recording == path)
        return;
    m_recording = path;
    setSample(-1);
    emit recordingChanged();
}

void Selection::setSample(int sample)
{
    if (m_sample == sample)
        return;
    m_sample = sample;
    forgetTokens();
    emit sampleChanged(sample);
}

void Selection::forgetTokens()
{
    setCell(-1, -1);
    setRange({});
    setStep(0);
}

void Selection::setHead(int layer, int head)
{
    if (m_layer == layer && m_head == head)
        return;
    m_layer = layer;
    m_head = head;
    emit headChanged(layer, head);
}

void Selection::setCell(std::int64_t query, std::int64_t key)
{
    if (m_query == query && m_key == key)
        return;
    m_query = query;
    m_key = key;
    emit cellChanged(query, key);
}

void Selection::setRange(TokenRange range)
{
    if (range.size() <= 0)
        range = {};
    if (std::exchange(m_range, range) != range)
        emit rangeChanged();
}

void Selection::setMethod(const std::string& spec)
{
    if (m_method == spec)
        return;
    m_method = spec;
    emit methodChanged();
}

void Selection::setKeepPermille(int permille)
{
    permille = std::clamp(permille, 1, 1000);
    if (std::exchange(m_keepPermille, permille) != permille)
        emit keepChanged(permille);
}

void Selection::setStep(std::int64_t step)
{
    step = std::max<std::int64_t>(0, step);
    if (std::exchange(m_step, step) != step)
        emit stepChanged(step);
}

} // namespace kvloupe
