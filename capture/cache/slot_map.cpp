// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/slot_map.h"

#include <algorithm>
#include <numeric>

namespace kvloupe {

namespace {

// More idle slots than this are closed up by moving tokens: attention reads idle slots too.
constexpr std::size_t mostFree = 8;

} // namespace

SlotMap::SlotMap(std::span<const std::int32_t> positions)
    : m_alive(positions.begin(), positions.end())
    , m_slots(positions.size())
    , m_used(std::ssize(positions))
{
    std::iota(m_slots.begin(), m_slots.end(), 0);
}

bool SlotMap::holds(std::int32_t position) const
{
    return std::ranges::binary_search(m_alive, position);
}

std::int64_t SlotMap::add(std::int32_t position)
{
    std::int32_t slot = 0;
    if (m_free.empty()) {
        slot = static_cast<std::int32_t>(m_used++);
    } else {
        slot = m_free.back();
        m_free.pop_back();
    }
    m_alive.push_back(position);
    m_slots.push_back(slot);
    return slot;
}

std::vector<SlotMap::Move> SlotMap::remove(std::span<const std::int32_t> positions)
{
    auto gone = positions.begin();
    std::size_t left = 0;
    for (std::size_t i = 0; i < m_alive.size(); ++i) {
        while (gone != positions.end() && *gone < m_alive[i])
            ++gone;
        if (gone != positions.end() && *gone == m_alive[i]) {
            m_free.push_back(m_slots[i]);
        } else {
            m_alive[left] = m_alive[i];
            m_slots[left++] = m_slots[i];
        }
    }
    m_alive.resize(left);
    m_slots.resize(left);
    return m_free.size() > mostFree ? closeGaps() : std::vector<Move>{};
}

std::vector<SlotMap::Move> SlotMap::closeGaps()
{
    const auto size = static_cast<std::int32_t>(m_alive.size());
    std::vector<std::int32_t> gaps;
    for (const std::int32_t slot : m_free)
        if (slot < size)
            gaps.push_back(slot);
    std::ranges::sort(gaps);
    std::vector<Move> moves;
    for (std::int32_t& slot : m_slots) {
        if (slot < size)
            continue;
        moves.push_back({slot, gaps[moves.size()]});
        slot = moves.back().to;
    }
    m_free.clear();
    m_used = size;
    return moves;
}

std::int64_t SlotMap::bytes() const
{
    return static_cast<std::int64_t>(
        (m_alive.capacity() + m_slots.capacity() + m_free.capacity()) * sizeof(std::int32_t));
}

} // namespace kvloupe
