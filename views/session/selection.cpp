// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/selection.h"

namespace kvloupe {

void Selection::setSample(int sample)
{
    if (m_sample == sample)
        return;
    m_sample = sample;
    m_query = -1;
    m_key = -1;
    emit sampleChanged(sample);
    emit cellChanged(m_query, m_key);
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

} // namespace kvloupe
