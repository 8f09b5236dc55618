// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/tokenizer/models/unigram_model.h"

#include "capture/tokenizer/models/character_model.h"
#include "capture/tokenizer/utf8_text.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace kvloupe {

namespace {

constexpr double unknownPenalty = 10; // kUnkPenalty of SentencePiece
constexpr std::size_t nowhere = std::numeric_limits<std::size_t>::max();

/// The best way to reach a place in the piece.
struct Reached {
    double score = 0;
    std::size_t from = nowhere;
    std::int32_t id = -1;
};

} // namespace

UnigramModel::UnigramModel(std::shared_ptr<const Vocabulary> vocabulary, std::vector<double> scores,
    std::int32_t unknownId, bool fallsBackToBytes)
    : m_vocabulary(std::move(vocabulary))
    , m_scores(std::move(scores))
    , m_unknownId(unknownId)
    , m_fallsBackToBytes(fallsBackToBytes)
    , m_unknownScore(std::ranges::min(m_scores) - unknownPenalty)
    , m_byteTokens(byteFallbackTokens(*m_vocabulary))
{
    build();
}

void UnigramModel::build()
{
    std::vector<std::pair<std::string_view, std::int32_t>> entries;
    for (std::size_t id = 0; id < m_vocabulary->entries().size(); ++id)
        if (!m_vocabulary->entries()[id].empty())
            entries.emplace_back(m_vocabulary->entries()[id], static_cast<std::int32_t>(id));
    std::ranges::sort(entries);

    /// Sorted entries [begin, end) that share the first `depth` bytes, which node `node` stands for.
    struct Range {
        std::size_t node, depth, begin, end;
    };
    m_nodes.push_back({});
    std::vector<Range> open = {{0, 0, 0, entries.size()}};
    for (std::size_t next = 0; next < open.size(); ++next) {
        auto [node, depth, begin, end] = open[next];
        if (begin < end && entries[begin].first.size() == depth)
            m_nodes[node].id = entries[begin++].second;
        m_nodes[node].firstChild = static_cast<std::uint32_t>(m_nodes.size());
        while (begin < end) {
            const char byte = entries[begin].first[depth];
            std::size_t stop = begin;
            while (stop < end && entries[stop].first[depth] == byte)
                ++stop;
            open.push_back({m_nodes.size(), depth + 1, begin, stop});
            m_nodes.push_back({.byte = static_cast<unsigned char>(byte)});
            ++m_nodes[node].children;
            begin = stop;
        }
    }
    const Node& root = m_nodes.front();
    for (std::uint32_t i = root.firstChild; i < root.firstChild + root.children; ++i)
        m_rootChildren.at(m_nodes[i].byte) = i;
}

const UnigramModel::Node* UnigramModel::child(const Node& node, unsigned char byte) const
{
    const Node* const first = m_nodes.data() + node.firstChild;
    const Node* const last = first + node.children;
    const Node* const found = std::find_if(first, last, [&](const Node& other) { return other.byte == byte; });
    return found == last ? nullptr : found;
}

void UnigramModel::putUnknown(std::string_view piece, ByteRange range, std::vector<PieceToken>& out) const
{
    const std::string_view bytes = piece.substr(range.begin, range.end - range.begin);
    const auto tokenOf = [&](char c) { return m_byteTokens.at(static_cast<unsigned char>(c)); };
    if (const std::int32_t id = m_vocabulary->find(bytes); id >= 0)
        out.push_back({id, range.begin, range.end}); // the unknown token, written in the text
    else if (m_fallsBackToBytes && std::ranges::all_of(bytes, [&](char c) { return tokenOf(c) >= 0; }))
        for (const char c : bytes)
            out.push_back({tokenOf(c), range.begin, range.end});
    else
        out.push_back({m_unknownId, range.begin, range.end});
}

void UnigramModel::encode(std::string_view piece, std::vector<PieceToken>& out) const
{
    std::vector<Reached> reached(piece.size() + 1);
    const auto reach = [&](std::size_t from, std::size_t to, double score, std::int32_t id) {
        Reached& target = reached[to];
        if (target.from == nowhere || score > target.score)
            target = {score, from, id};
    };
    for (std::size_t at = 0; at < piece.size();) {
        const std::size_t length = characterLength(piece.substr(at));
        bool hasCharacter = false;
        const std::uint32_t first = m_rootChildren.at(static_cast<unsigned char>(piece[at]));
        const Node* node = first == 0 ? nullptr : &m_nodes[first];
        for (std::size_t end = at + 1; node != nullptr; ++end) {
            if (node->id >= 0) {
                reach(at, end, reached[at].score + m_scores[static_cast<std::size_t>(node->id)], node->id);
                hasCharacter = hasCharacter || end - at == length;
            }
            node = end < piece.size() ? child(*node, static_cast<unsigned char>(piece[end])) : nullptr;
        }
        if (!hasCharacter)
            reach(at, at + length, reached[at].score + m_unknownScore, m_unknownId);
        at += length;
    }

    std::vector<ByteRange> way; // last part first
    for (std::size_t end = piece.size(); end > 0; end = reached[end].from)
        way.push_back({reached[end].from, end});
    for (auto part = way.rbegin(); part != way.rend();) {
        const std::int32_t id = reached[part->end].id;
        ByteRange range = *part++;
        if (id != m_unknownId) {
            out.push_back({id, range.begin, range.end});
            continue;
        }
        while (part != way.rend() && reached[part->end].id == m_unknownId)
            range.end = (part++)->end;
        putUnknown(piece, range, out);
    }
}

} // namespace kvloupe
