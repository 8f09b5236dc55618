// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvloupe {

/// Which tokens a list holds and where they lie. Attention does not care for the order of slots, policies want
/// positions ascending: both views of it are here. A token that leaves frees its slot for the next one to come.
class SlotMap {
public:
    /// Tokens at `positions` (ascending) in the slots 0, 1, ...
    explicit SlotMap(std::span<const std::int32_t> positions);

    std::span<const std::int32_t> alive() const { return m_alive; } ///< [n] positions, ascending
    std::span<const std::int32_t> slots() const { return m_slots; } ///< [n] where they lie
    std::span<const std::int32_t> freeSlots() const { return m_free; } ///< below usedSlots()
    std::int64_t size() const { return std::ssize(m_alive); }
    /// Slots from here on hold nothing.
    std::int64_t usedSlots() const { return m_used; }
    bool holds(std::int32_t position) const;

    /// The slot for a token newer than all others.
    std::int64_t add(std::int32_t position);

    /// A token that has to move so that few slots stay idle.
    struct Move {
        std::int32_t from = 0;
        std::int32_t to = 0;
    };
    /// Forgets tokens; `positions` ascends and names tokens that are alive, others are passed over. The moves are to be
    /// made in order; afterwards nothing lies at or after usedSlots().
    std::vector<Move> remove(std::span<const std::int32_t> positions);

    std::int64_t bytes() const;

private:
    std::vector<Move> closeGaps();

    std::vector<std::int32_t> m_alive;
    std::vector<std::int32_t> m_slots;
    std::vector<std::int32_t> m_free;
    std::int64_t m_used;
};

} // namespace kvloupe
