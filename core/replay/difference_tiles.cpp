// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/difference_tiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>

namespace kvloupe {

namespace {

constexpr std::int64_t half = tileSize / 2;

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// The one further from 0; halves without their sign compare as their codes do.
Half stronger(Half one, Half other)
{
    constexpr int magnitude = 0x7fff;
    return (other & magnitude) > (one & magnitude) ? other : one;
}

/// Pools a tile 2 x 2 into the quarter of `target` that begins at (rowBegin, columnBegin).
void poolInto(std::vector<Half>& target, const std::vector<Half>& tile, std::int64_t rowBegin, std::int64_t columnBegin)
{
    for (std::int64_t row = 0; row < half; ++row) {
        for (std::int64_t column = 0; column < half; ++column) {
            const std::size_t from = index(2 * row * tileSize + 2 * column);
            target[index((rowBegin + row) * tileSize + columnBegin + column)]
                = stronger(stronger(tile[from], tile[from + 1]),
                    stronger(tile[from + index(tileSize)], tile[from + index(tileSize) + 1]));
        }
    }
}

} // namespace

std::string promptMismatch(const SampleText& a, std::int64_t promptA, const SampleText& b, std::int64_t promptB)
{
    const auto idsOf = [](const SampleText& text, std::int64_t prompt) {
        return std::span(text.ids).first(std::min(text.ids.size(), index(prompt)));
    };
    const auto pieceOf = [](const SampleText& text, std::size_t token) {
        return token < text.pieces.size() ? text.pieces[token] : std::string();
    };
    const auto idsA = idsOf(a, promptA);
    const auto idsB = idsOf(b, promptB);
    const auto [atA, atB] = std::ranges::mismatch(idsA, idsB);
    if (atA == idsA.end() && atB == idsB.end())
        return promptA == promptB ? std::string() : fmt::format("{} prompt tokens against {}", promptA, promptB);
    const auto token = static_cast<std::size_t>(atA - idsA.begin());
    if (atA == idsA.end() || atB == idsB.end())
        return fmt::format("the prompts have {} and {} tokens; the first {} are equal", promptA, promptB, token);
    return fmt::format("the prompts differ from token {} on: \"{}\" (id {}) against \"{}\" (id {})", token,
        pieceOf(a, token), *atA, pieceOf(b, token), *atB);
}

DifferenceTiles::DifferenceTiles(
    AttentionTiles& a, MapAddress mapA, AttentionTiles& b, MapAddress mapB, std::int64_t tokens, std::size_t cacheBytes)
    : m_a(&a)
    , m_b(&b)
    , m_mapA(mapA)
    , m_mapB(mapB)
    , m_tokens(tokens)
    , m_tiles(cacheBytes)
{
}

std::vector<float> DifferenceTiles::block(TokenRange queries, TokenRange keys)
{
    std::vector<float> cells = m_a->block(m_mapA.sample, m_mapA.layer, m_mapA.head, queries, keys);
    const std::vector<float> other = m_b->block(m_mapB.sample, m_mapB.layer, m_mapB.head, queries, keys);
    if (cells.empty() || other.empty()) {
        const MapAddress& missing = cells.empty() ? m_mapA : m_mapB;
        throw RecordingError(fmt::format("sample {} layer {} head {}: neither its map nor its queries and keys were "
                                         "recorded, which a difference needs",
            missing.sample, missing.layer, missing.head));
    }
    std::ranges::transform(cells, other, cells.begin(), std::minus());
    return cells;
}

CellFacts DifferenceTiles::facts(const CellAddress& address, std::int64_t window)
{
    CellFacts facts;
    facts.value = block({address.query, address.query + 1}, {address.key, address.key + 1}).front();
    if (address.level > 0) {
        const TokenRange queries = blockOf(address.query, address.level, address.tokens);
        const TokenRange keys = blockOf(address.key, address.level, address.tokens);
        facts.block = blockFacts(block(queries, keys), queries, keys, window, BlockMaximum::Magnitude);
    }
    return facts;
}

std::vector<Half> DifferenceTiles::base(std::int64_t row, std::int64_t column)
{
    const auto range = [&](std::int64_t tile) {
        return TokenRange{tile * tileSize, std::min(m_tokens, (tile + 1) * tileSize)};
    };
    const TokenRange queries = range(row);
    const TokenRange keys = range(column);
    const std::vector<float> cells = block(queries, keys);
    std::vector<Half> tile(index(tileSize * tileSize), 0);
    for (std::int64_t r = 0; r < queries.size(); ++r) {
        floatsToHalves(std::span(cells).subspan(index(r * keys.size()), index(keys.size())),
            std::span(tile).subspan(index(r * tileSize), index(keys.size())));
    }
    return tile;
}

std::vector<Half> DifferenceTiles::read(
    int level, std::int64_t row, std::int64_t column, const std::function<bool()>& stop)
{
    if (stop && stop())
        return {};
    if (column > row)
        return std::vector<Half>(index(tileSize * tileSize), 0);
    if (const auto found = m_tiles.find({level, row, column}))
        return *found;
    std::vector<Half> tile;
    if (level == 0) {
        tile = base(row, column);
    } else {
        tile.assign(index(tileSize * tileSize), 0);
        const std::int64_t finerCells = tileSize << (level - 1);
        for (std::int64_t r = 0; r < 2; ++r) {
            for (std::int64_t c = 0; c < 2; ++c) {
                const std::int64_t finerRow = 2 * row + r;
                const std::int64_t finerColumn = 2 * column + c;
                if (finerColumn > finerRow || finerRow * finerCells >= m_tokens)
                    continue;
                const std::vector<Half> finer = read(level - 1, finerRow, finerColumn, stop);
                if (finer.empty())
                    return {};
                poolInto(tile, finer, r * half, c * half);
            }
        }
    }
    m_tiles.insert({level, row, column}, std::make_shared<std::vector<Half>>(tile), tile.size() * sizeof(Half));
    return tile;
}

} // namespace kvloupe
