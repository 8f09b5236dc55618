// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/models/pair_merger.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <limits>
#include <queue>
#include <tuple>

namespace kvloupe {

namespace {

constexpr std::int32_t none = -1;
constexpr std::int32_t noRank = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t longestScan = 48; // above, a queue is faster than looking through all pairs

std::uint64_t pairKey(std::int32_t left, std::int32_t right)
{
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

std::size_t hashOf(std::uint64_t pair)
{
    pair *= 0x9e3779b97f4a7c15u; // Fibonacci hashing
    return static_cast<std::size_t>(pair ^ pair >> 32);
}

/// A token in the list of those that are left; `next` and `previous` are positions in the list.
struct Symbol {
    PieceToken token;
    std::int32_t previous = none;
    std::int32_t next = none;
    bool isAlive = true;
};

/// A merge that was possible when it was queued.
struct Candidate {
    std::int32_t rank = 0;
    std::int32_t position = 0; ///< of the left symbol
    std::int32_t left = 0;
    std::int32_t right = 0;
    std::int32_t result = 0;

    bool operator>(const Candidate& other) const
    {
        return std::tie(rank, position) > std::tie(other.rank, other.position);
    }
};

} // namespace

PairMerger::PairMerger(const std::vector<PairMerge>& merges)
    : m_table(std::bit_ceil(2 * merges.size() + 2))
{
    for (const PairMerge& merge : merges) {
        const std::uint64_t pair = pairKey(merge.left, merge.right);
        *slotOf(pair) = {pair, merge.rank, merge.result};
    }
}

PairMerger::Entry* PairMerger::slotOf(std::uint64_t pair)
{
    const std::size_t mask = m_table.size() - 1;
    std::size_t at = hashOf(pair) & mask;
    while (m_table[at].pair != pair && m_table[at].pair != unused)
        at = (at + 1) & mask;
    return &m_table[at];
}

const PairMerger::Entry* PairMerger::find(std::int32_t left, std::int32_t right) const
{
    const std::uint64_t pair = pairKey(left, right);
    const std::size_t mask = m_table.size() - 1;
    for (std::size_t at = hashOf(pair) & mask;; at = (at + 1) & mask) {
        if (m_table[at].pair == pair)
            return &m_table[at];
        if (m_table[at].pair == unused)
            return nullptr;
    }
}

void PairMerger::merge(std::vector<PieceToken>& tokens, std::size_t first) const
{
    if (tokens.size() - first <= longestScan)
        mergeShort(tokens, first);
    else
        mergeLong(tokens, first);
}

void PairMerger::mergeShort(std::vector<PieceToken>& tokens, std::size_t first) const
{
    std::array<const Entry*, longestScan> merges{}; // of token i and i + 1
    std::size_t count = tokens.size() - first;
    PieceToken* const list = tokens.data() + first;
    const auto look = [&](std::size_t i) { merges.at(i) = i + 1 < count ? find(list[i].id, list[i + 1].id) : nullptr; };
    for (std::size_t i = 0; i < count; ++i)
        look(i);
    for (;;) {
        std::int32_t bestRank = noRank;
        std::size_t best = 0;
        for (std::size_t i = 0; i + 1 < count; ++i)
            if (merges[i] != nullptr && merges[i]->rank < bestRank) {
                bestRank = merges[i]->rank;
                best = i;
            }
        if (bestRank == noRank)
            break;
        list[best].id = merges.at(best)->result;
        list[best].end = list[best + 1].end;
        --count;
        for (std::size_t i = best + 1; i < count; ++i) {
            list[i] = list[i + 1];
            merges.at(i) = merges.at(i + 1);
        }
        look(best);
        if (best > 0)
            look(best - 1);
    }
    tokens.resize(first + count);
}

void PairMerger::mergeLong(std::vector<PieceToken>& tokens, std::size_t first) const
{
    std::vector<Symbol> symbols;
    symbols.reserve(tokens.size() - first);
    for (std::size_t i = first; i < tokens.size(); ++i) {
        const auto position = static_cast<std::int32_t>(symbols.size());
        symbols.push_back({.token = tokens[i], .previous = position - 1, .next = position + 1});
    }
    symbols.back().next = none;

    std::vector<Candidate> storage;
    storage.reserve(symbols.size());
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue({}, std::move(storage));
    const auto enqueue = [&](std::int32_t position) {
        if (position == none || symbols[static_cast<std::size_t>(position)].next == none)
            return;
        const Symbol& left = symbols[static_cast<std::size_t>(position)];
        const Symbol& right = symbols[static_cast<std::size_t>(left.next)];
        if (const Entry* const merge = find(left.token.id, right.token.id))
            queue.push({merge->rank, position, left.token.id, right.token.id, merge->result});
    };
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
        enqueue(static_cast<std::int32_t>(i));

    while (!queue.empty()) {
        const Candidate best = queue.top();
        queue.pop();
        Symbol& left = symbols[static_cast<std::size_t>(best.position)];
        if (!left.isAlive || left.token.id != best.left || left.next == none)
            continue;
        Symbol& right = symbols[static_cast<std::size_t>(left.next)];
        if (right.token.id != best.right)
            continue;
        left.token.id = best.result;
        left.token.end = right.token.end;
        left.next = right.next;
        right.isAlive = false;
        if (left.next != none)
            symbols[static_cast<std::size_t>(left.next)].previous = best.position;
        enqueue(left.previous);
        enqueue(best.position);
    }

    tokens.resize(first);
    for (const Symbol& symbol : symbols)
        if (symbol.isAlive)
            tokens.push_back(symbol.token);
}

} // namespace kvloupe
