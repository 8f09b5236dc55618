// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/prompt/prompt_layout.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace kvloupe {

/// Few-shot examples of a prompt: half-open, ascending, disjoint.
using Shots = std::vector<TokenRange>;

/// One end of a shot. Where a shot ends as the next begins, both move together.
struct ShotEdge {
    int shot = 0;
    bool isEnd = false;

    bool operator==(const ShotEdge&) const = default;
};

/// Edges in the order of the prompt; a border between two shots is one edge, the end of the first.
std::vector<ShotEdge> edgesOf(std::span<const TokenRange> shots);
std::int64_t positionOf(std::span<const TokenRange> shots, const ShotEdge& edge);
/// Every shot keeps at least one token and none runs into another: `position` is moved to the nearest that does.
Shots moveEdge(
    std::span<const TokenRange> shots, const ShotEdge& edge, std::int64_t position, std::int64_t promptTokens);

/// The shot that holds `token` becomes two, the second beginning with it. Nothing if it holds no shot's inside.
std::optional<Shots> splitShot(std::span<const TokenRange> shots, std::int64_t token);
/// A shot and the next one, with what lies between them, become one. Nothing if there is no next one.
std::optional<Shots> joinWithNext(std::span<const TokenRange> shots, int shot);
std::optional<Shots> removeShot(std::span<const TokenRange> shots, int shot);
/// `range` becomes a shot; others give way. Nothing for an empty range.
std::optional<Shots> addShot(std::span<const TokenRange> shots, TokenRange range);
/// Number of the shot that holds `token`, -1 = none.
int shotAt(std::span<const TokenRange> shots, std::int64_t token);

} // namespace kvloupe
