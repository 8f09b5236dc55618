// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/shots/shot_edit.h"

#include <algorithm>

namespace kvloupe {

namespace {

bool isShot(std::span<const TokenRange> shots, int shot)
{
    return shot >= 0 && shot < static_cast<int>(shots.size());
}

std::size_t at(int shot)
{
    return static_cast<std::size_t>(shot);
}

} // namespace

std::vector<ShotEdge> edgesOf(std::span<const TokenRange> shots)
{
    std::vector<ShotEdge> edges;
    for (int shot = 0; shot < static_cast<int>(shots.size()); ++shot) {
        if (shot == 0 || shots[at(shot - 1)].end != shots[at(shot)].begin)
            edges.push_back({shot, false});
        edges.push_back({shot, true});
    }
    return edges;
}

std::int64_t positionOf(std::span<const TokenRange> shots, const ShotEdge& edge)
{
    return edge.isEnd ? shots[at(edge.shot)].end : shots[at(edge.shot)].begin;
}

Shots moveEdge(
    std::span<const TokenRange> shots, const ShotEdge& edge, std::int64_t position, std::int64_t promptTokens)
{
    Shots moved(shots.begin(), shots.end());
    if (!isShot(shots, edge.shot))
        return moved;
    TokenRange& shot = moved[at(edge.shot)];
    if (edge.isEnd) {
        TokenRange* next = isShot(shots, edge.shot + 1) ? &moved[at(edge.shot + 1)] : nullptr;
        const bool touches = next && next->begin == shot.end;
        const std::int64_t last = touches ? next->end - 1 : next ? next->begin : promptTokens;
        shot.end = std::clamp(position, shot.begin + 1, last);
        if (touches)
            next->begin = shot.end;
    } else {
        const std::int64_t first = edge.shot > 0 ? moved[at(edge.shot - 1)].end : 0;
        shot.begin = std::clamp(position, first, shot.end - 1);
    }
    return moved;
}

int shotAt(std::span<const TokenRange> shots, std::int64_t token)
{
    const auto found = std::ranges::find_if(
        shots, [token](const TokenRange& shot) { return token >= shot.begin && token < shot.end; });
    return found == shots.end() ? -1 : static_cast<int>(found - shots.begin());
}

std::optional<Shots> splitShot(std::span<const TokenRange> shots, std::int64_t token)
{
    const int shot = shotAt(shots, token);
    if (shot < 0 || shots[at(shot)].begin == token)
        return std::nullopt;
    Shots split(shots.begin(), shots.end());
    split.insert(split.begin() + shot + 1, {token, split[at(shot)].end});
    split[at(shot)].end = token;
    return split;
}

std::optional<Shots> joinWithNext(std::span<const TokenRange> shots, int shot)
{
    if (!isShot(shots, shot) || !isShot(shots, shot + 1))
        return std::nullopt;
    Shots joined(shots.begin(), shots.end());
    joined[at(shot)].end = joined[at(shot + 1)].end;
    joined.erase(joined.begin() + shot + 1);
    return joined;
}

std::optional<Shots> removeShot(std::span<const TokenRange> shots, int shot)
{
    if (!isShot(shots, shot))
        return std::nullopt;
    Shots rest(shots.begin(), shots.end());
    rest.erase(rest.begin() + shot);
    return rest;
}

std::optional<Shots> addShot(std::span<const TokenRange> shots, TokenRange range)
{
    if (range.size() <= 0)
        return std::nullopt;
    Shots result;
    for (const TokenRange& shot : shots) {
        if (const TokenRange before{shot.begin, std::min(shot.end, range.begin)}; before.size() > 0)
            result.push_back(before);
        if (const TokenRange after{std::max(shot.begin, range.end), shot.end}; after.size() > 0)
            result.push_back(after);
    }
    result.push_back(range);
    std::ranges::sort(result, {}, &TokenRange::begin);
    return result;
}

} // namespace kvloupe
