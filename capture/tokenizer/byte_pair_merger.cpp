// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/byte_pair_merger.h"

#include <algorithm>
#include <queue>
#include <tuple>

namespace kvloupe {

namespace {

constexpr std::int32_t none = -1;

std::uint64_t pairKey(std::int32_t left, std::int32_t right)
{
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
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

BytePairMerger::BytePairMerger(const std::vector<Merge>& merges, const std::array<std::int32_t, 256>& byteTokens)
    : m_byteTokens(byteTokens)
{
    m_merges.reserve(merges.size());
    for (std::size_t rank = 0; rank < merges.size(); ++rank)
        m_merges[pairKey(merges[rank].left, merges[rank].right)]
            = {static_cast<std::int32_t>(rank), merges[rank].result};
}

const BytePairMerger::Ranked* BytePairMerger::find(std::int32_t left, std::int32_t right) const
{
    const auto found = m_merges.find(pairKey(left, right));
    return found == m_merges.end() ? nullptr : &found->second;
}

void BytePairMerger::encode(std::string_view piece, std::vector<PieceToken>& out) const
{
    std::vector<Symbol> symbols;
    symbols.reserve(piece.size());
    std::vector<PieceToken> unknown;
    for (std::size_t i = 0; i < piece.size(); ++i) {
        const std::int32_t id = m_byteTokens.at(static_cast<unsigned char>(piece[i]));
        if (id == none) {
            unknown.push_back({none, i, i + 1});
            continue;
        }
        const auto position = static_cast<std::int32_t>(symbols.size());
        symbols.push_back({.token = {id, i, i + 1}, .previous = position - 1, .next = position + 1});
    }
    if (!symbols.empty())
        symbols.back().next = none;

    std::vector<Candidate> storage;
    storage.reserve(symbols.size());
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue({}, std::move(storage));
    const auto enqueue = [&](std::int32_t position) {
        if (position == none || symbols[static_cast<std::size_t>(position)].next == none)
            return;
        const Symbol& left = symbols[static_cast<std::size_t>(position)];
        const Symbol& right = symbols[static_cast<std::size_t>(left.next)];
        if (const Ranked* const merge = find(left.token.id, right.token.id))
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

    const auto firstNew = static_cast<std::ptrdiff_t>(out.size());
    for (const Symbol& symbol : symbols)
        if (symbol.isAlive)
            out.push_back(symbol.token);
    if (unknown.empty())
        return;
    out.insert(out.end(), unknown.begin(), unknown.end());
    std::ranges::sort(out.begin() + firstNew, out.end(), {}, &PieceToken::begin);
}

} // namespace kvloupe
