// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/chooser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace kvloupe {

namespace {

using Ordinal = std::uint32_t;

/// An integer that sorts as the score does: -0 as 0, NaN as minus infinity.
Ordinal ordinal(float score)
{
    constexpr Ordinal sign = 0x8000'0000U;
    constexpr Ordinal minusInfinity = 0x007f'ffffU;
    const Ordinal bits = std::bit_cast<Ordinal>(score + 0.0F); // -0 + 0 is +0
    const Ordinal ordered = (bits & sign) != 0 ? ~bits : bits | sign;
    return score == score ? ordered : minusInfinity;
}

/// What has to be met to be among the `count` largest: every ordinal above `value`, and of the equal ones the first
/// `equal`.
struct Threshold {
    Ordinal value = 0;
    std::int64_t equal = 0;
};

/// One counting pass over the leading bits finds the bucket of the threshold; only that bucket is looked at closely.
Threshold thresholdOf(std::span<const Ordinal> ordinals, std::int64_t count)
{
    constexpr int bucketBits = 12;
    constexpr int shift = 32 - bucketBits;
    std::array<std::uint32_t, std::size_t{1} << bucketBits> sizes{};
    for (const Ordinal value : ordinals)
        ++sizes[value >> shift];
    std::size_t bucket = sizes.size();
    std::int64_t above = 0;
    while (above + sizes[--bucket] < count)
        above += sizes[bucket];

    std::vector<Ordinal> members;
    members.reserve(sizes[bucket]);
    for (const Ordinal value : ordinals)
        if ((value >> shift) == bucket)
            members.push_back(value);
    const auto nth = members.begin() + (count - above - 1);
    std::nth_element(members.begin(), nth, members.end(), std::greater<>());
    Threshold threshold{*nth, count - above};
    threshold.equal -= std::count_if(members.begin(), nth, [&](Ordinal value) { return value > threshold.value; });
    return threshold;
}

void appendRange(std::vector<std::int32_t>& kept, std::int64_t begin, std::int64_t end)
{
    for (std::int64_t index = begin; index < end; ++index)
        kept.push_back(static_cast<std::int32_t>(index));
}

/// How many of the first and of the last tokens are kept when `count` < sinks + recent. Both are at most the tokens
/// there are.
struct Ends {
    std::int64_t first = 0;
    std::int64_t last = 0;
};

Ends endsWithin(std::int64_t count, const Protection& protection)
{
    if (protection.recent == 0)
        return {count, 0};
    const std::int64_t first = std::min(protection.sinks, std::max<std::int64_t>(count - 1, 0));
    return {first, count - first};
}

Protection clampedTo(std::int64_t tokens, const Protection& protection)
{
    return {
        std::clamp<std::int64_t>(protection.sinks, 0, tokens), std::clamp<std::int64_t>(protection.recent, 0, tokens)};
}

} // namespace

std::vector<std::int32_t> selectEnds(std::int64_t tokens, std::int64_t count, const Protection& protection)
{
    count = std::clamp<std::int64_t>(count, 0, std::max<std::int64_t>(tokens, 0));
    Protection ends = clampedTo(tokens, protection);
    ends.recent = std::min(ends.recent, tokens - ends.sinks);
    Ends taken{ends.sinks, ends.recent};
    if (count < ends.sinks + ends.recent)
        taken = endsWithin(count, clampedTo(tokens, protection));
    std::vector<std::int32_t> kept;
    kept.reserve(static_cast<std::size_t>(taken.first + taken.last));
    appendRange(kept, 0, taken.first);
    appendRange(kept, tokens - taken.last, tokens);
    return kept;
}

std::vector<std::int32_t> selectTop(std::span<const float> scores, std::int64_t count, const Protection& protection)
{
    const auto tokens = static_cast<std::int64_t>(scores.size());
    count = std::clamp<std::int64_t>(count, 0, tokens);
    const Protection guarded = clampedTo(tokens, protection);
    const std::int64_t rankedBegin = guarded.sinks;
    const std::int64_t rankedEnd = std::max(guarded.sinks, tokens - guarded.recent);
    const std::int64_t guardedCount = tokens - (rankedEnd - rankedBegin);
    if (count <= guardedCount)
        return selectEnds(tokens, count, protection);

    if (count == tokens)
        return selectEnds(tokens, count, {tokens, 0});
    const auto ranked
        = scores.subspan(static_cast<std::size_t>(rankedBegin), static_cast<std::size_t>(rankedEnd - rankedBegin));
    std::vector<Ordinal> ordinals(ranked.size());
    std::transform(ranked.begin(), ranked.end(), ordinals.begin(), ordinal);
    Threshold threshold = thresholdOf(ordinals, count - guardedCount);

    std::vector<std::int32_t> kept(static_cast<std::size_t>(count + 1)); // one to spare: written before it is counted
    std::int32_t* out = kept.data();
    for (std::int64_t index = 0; index < rankedBegin; ++index)
        *out++ = static_cast<std::int32_t>(index);
    for (std::size_t index = 0; index < ordinals.size(); ++index) {
        const bool equal = ordinals[index] == threshold.value && threshold.equal > 0;
        threshold.equal -= equal ? 1 : 0;
        *out = static_cast<std::int32_t>(rankedBegin + static_cast<std::int64_t>(index));
        out += ordinals[index] > threshold.value || equal ? 1 : 0;
    }
    for (std::int64_t index = rankedEnd; index < tokens; ++index)
        *out++ = static_cast<std::int32_t>(index);
    kept.resize(static_cast<std::size_t>(count));
    return kept;
}

Protection infiniteEnds(std::span<const float> scores)
{
    const auto isInfinite = [](float score) { return score == std::numeric_limits<float>::infinity(); };
    const auto last = std::find_if_not(scores.rbegin(), scores.rend(), isInfinite);
    if (last == scores.rend())
        return {0, static_cast<std::int64_t>(scores.size())};
    return {std::find_if_not(scores.begin(), scores.end(), isInfinite) - scores.begin(), last - scores.rbegin()};
}

void ChoiceContext::note(std::string remark) const
{
    if (notes != nullptr && std::ranges::find(*notes, remark) == notes->end())
        notes->push_back(std::move(remark));
}

void ChoiceContext::noteIfBelow(std::int64_t count, std::int64_t guarded) const
{
    if (count < guarded)
        note(fmt::format("a budget of {} tokens is below the {} that the method protects; of these the newest were "
                         "kept first, then sinks",
            count, guarded));
}

namespace {

/// `scores` as a ranking: its infinite ends are guarded as sinks and window, `recent` more newest tokens as recent.
SetRanking rankingOf(std::span<const float> scores, std::int64_t recent)
{
    const Protection own = infiniteEnds(scores);
    const auto tokens = static_cast<std::int64_t>(scores.size());
    SetRanking ranking{{scores.begin(), scores.end()}, std::vector<Guard>(scores.size(), Guard::None)};
    for (std::int64_t index = 0; index < tokens; ++index) {
        const Guard guard = index < own.sinks ? Guard::Sink
            : index >= tokens - own.recent    ? Guard::Window
            : index >= tokens - recent        ? Guard::Recent
                                              : Guard::None;
        ranking.guards[static_cast<std::size_t>(index)] = guard;
        if (guard != Guard::None)
            ranking.scores[static_cast<std::size_t>(index)] = std::numeric_limits<float>::quiet_NaN();
    }
    return ranking;
}

/// One ranking per kept set: a decision for a whole layer is repeated for its KV heads.
LayerRanking rankingOf(const Scores& layer, int kvHeads, std::int64_t recent)
{
    LayerRanking result;
    if (layer.values.empty()) {
        const auto tokens = static_cast<std::size_t>(layer.tokens);
        result.sets.assign(static_cast<std::size_t>(layer.sets), {{}, std::vector<Guard>(tokens, Guard::Layer)});
    }
    for (int set = 0; set < layer.sets && !layer.values.empty(); ++set)
        result.sets.push_back(rankingOf(layer.set(set), recent));
    if (layer.granularity == Granularity::Layer)
        result.sets.resize(static_cast<std::size_t>(kvHeads), result.sets.front());
    return result;
}

} // namespace

std::vector<LayerRanking> Chooser::rank(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<LayerRanking> result;
    for (const Scores& layer : scores)
        result.push_back(rankingOf(layer, context.kvHeads, 0));
    return result;
}

std::vector<KeepSet> KeepAll::choose(std::span<const Scores> scores, const ChoiceContext& context) const
{
    using Sets = std::vector<std::vector<std::int32_t>>;
    std::vector<KeepSet> result;
    for (const Scores& layer : scores) {
        std::vector<std::int32_t> all(static_cast<std::size_t>(layer.tokens));
        std::iota(all.begin(), all.end(), 0);
        if (layer.granularity == Granularity::Layer)
            result.push_back(layerKeepSet(std::move(all), context.kvHeads));
        else
            result.push_back({layer.granularity, Sets(static_cast<std::size_t>(layer.sets), all)});
    }
    return result;
}

TopScores::TopScores(Parameters parameters)
    : m_parameters(parameters)
{
}

std::int64_t TopScores::recentOf(std::int64_t count) const
{
    return m_parameters.recentDivisor > 0 ? count / m_parameters.recentDivisor : m_parameters.recent;
}

std::vector<KeepSet> TopScores::choose(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<KeepSet> result;
    for (const Scores& layer : scores) {
        const std::int64_t count = context.budget.tokensKept(layer.tokens, m_parameters.rounding);
        const auto selected = [&](int set) {
            Protection protection = infiniteEnds(layer.set(set));
            protection.recent = std::max(protection.recent, recentOf(count));
            const std::int64_t guarded = std::min(protection.sinks + protection.recent, layer.tokens);
            context.noteIfBelow(count, guarded);
            return selectTop(layer.set(set), count, protection);
        };
        if (layer.granularity == Granularity::Layer) {
            result.push_back(layerKeepSet(selected(0), context.kvHeads));
            continue;
        }
        KeepSet keep{layer.granularity, {}};
        keep.sets.reserve(static_cast<std::size_t>(layer.sets));
        for (int set = 0; set < layer.sets; ++set)
            keep.sets.push_back(selected(set));
        result.push_back(std::move(keep));
    }
    return result;
}

std::vector<LayerRanking> TopScores::rank(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<LayerRanking> result;
    for (const Scores& layer : scores)
        result.push_back(rankingOf(
            layer, context.kvHeads, recentOf(context.budget.tokensKept(layer.tokens, m_parameters.rounding))));
    return result;
}

} // namespace kvloupe
