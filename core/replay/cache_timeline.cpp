// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/replay/cache_timeline.h"

#include "core/methods/group_reduction.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace kvloupe {

std::map<int, KeepSet> CacheTimeline::aliveAfter(std::int64_t step) const
{
    const std::int64_t present = promptTokens + std::clamp<std::int64_t>(step, 0, steps);
    std::map<int, KeepSet> alive;
    for (const auto& [layer, sets] : layers) {
        KeepSet keep{granularity, {}};
        for (const HeadTimeline& timeline : sets) {
            std::vector<std::int32_t> positions;
            for (std::int64_t position = 0; position < present; ++position) {
                const std::int32_t left = timeline.evictedAt[static_cast<std::size_t>(position)];
                if (left < 0 || left > step)
                    positions.push_back(static_cast<std::int32_t>(position));
            }
            keep.sets.push_back(std::move(positions));
        }
        alive.emplace(layer, std::move(keep));
    }
    return alive;
}

namespace {

HeadTimeline timelineOf(std::span<const std::int32_t> kept, std::int64_t promptTokens, std::int64_t steps)
{
    HeadTimeline timeline;
    timeline.evictedAt.assign(static_cast<std::size_t>(promptTokens + steps), -1);
    std::fill_n(timeline.evictedAt.begin(), promptTokens, 0);
    for (const std::int32_t position : kept)
        timeline.evictedAt[static_cast<std::size_t>(position)] = -1;
    return timeline;
}

/// A cache of one set on its way through the steps.
struct Branch {
    std::unique_ptr<DecodePolicy> policy;
    std::vector<std::int32_t> alive;
    std::vector<std::int32_t> hidden; ///< of `alive`, not seen by the next query
    HeadTimeline timeline;
};

std::vector<std::int32_t> without(std::span<const std::int32_t> from, std::span<const std::int32_t> removed)
{
    std::vector<std::int32_t> rest;
    std::ranges::set_difference(from, removed, std::back_inserter(rest));
    return rest;
}

/// Attention over `alive` for query heads [firstHead, +heads): each recorded row restricted to the visible tokens and
/// divided by what it retains there, then reduced. Hidden tokens get 0.
std::vector<float> attentionOf(const Branch& branch, DecodeRowSource& rows, std::int64_t step, int firstHead, int heads)
{
    const auto size = static_cast<std::int64_t>(branch.alive.size());
    const std::vector<std::int32_t> visible = without(branch.alive, branch.hidden);
    HeadScores perHead(heads, size);
    for (int head = 0; head < heads; ++head) {
        const auto row = rows.row(firstHead + head, step);
        const auto out = perHead.set(head);
        double retained = 0.0;
        for (const std::int32_t position : visible)
            retained += static_cast<double>(row[static_cast<std::size_t>(position)]);
        auto next = visible.begin();
        for (std::size_t slot = 0; slot < out.size() && retained > 0.0; ++slot) {
            if (next == visible.end() || *next != branch.alive[slot])
                continue;
            out[slot] = static_cast<double>(row[static_cast<std::size_t>(*next)]) / retained;
            ++next;
        }
    }
    const ReducedScores reduced
        = reduceGroups(std::move(perHead), Granularity::Layer, branch.policy->groupReduction(), 1);
    std::vector<float> attention(static_cast<std::size_t>(size));
    std::ranges::transform(reduced.scores.set(0), attention.begin(),
        [&](double value) { return static_cast<float>(value * reduced.scale); });
    return attention;
}

} // namespace

std::vector<HeadTimeline> decodeTimeline(const Method& method, const KeepSet& kept, const Scores& scores, int layer,
    int numLayers, std::int64_t promptTokens, std::int64_t steps, std::int64_t capacity, DecodeRowSource* rows)
{
    std::vector<HeadTimeline> timelines;
    if (!method.decodePolicy) {
        for (const auto& set : kept.sets)
            timelines.push_back(timelineOf(set, promptTokens, steps));
        return timelines;
    }

    // A layer-level policy has one state; its decisions hold for all sets, which are equal then.
    const bool wholeLayer = method.decodePolicy->granularity() == Granularity::Layer;
    const std::size_t states = wholeLayer ? 1 : kept.sets.size();
    const bool readsRows = method.decodePolicy->needs().attention;
    if (readsRows && rows == nullptr)
        throw MethodError("method '" + method.spec + "' needs attention rows of the generated tokens, found none");

    std::vector<Branch> branches;
    for (std::size_t set = 0; set < states; ++set) {
        Branch branch{
            method.decodePolicy->clone(), kept.sets[set], {}, timelineOf(kept.sets[set], promptTokens, steps)};
        DecodeStart start;
        start.layer = layer;
        start.numLayers = numLayers;
        start.head = static_cast<int>(set);
        start.promptTokens = promptTokens;
        start.alive = branch.alive;
        start.capacity = capacity;
        if (static_cast<std::size_t>(scores.sets) == states && scores.tokens == promptTokens && !scores.values.empty())
            start.scores = scores.set(static_cast<int>(set));
        branch.policy->begin(start);
        branches.push_back(std::move(branch));
    }

    for (std::int64_t step = 0; step < steps; ++step) {
        const auto position = static_cast<std::int32_t>(promptTokens + step);
        for (std::size_t set = 0; set < states; ++set) {
            Branch& branch = branches[set];
            branch.alive.push_back(position);
            DecodeStep decode;
            decode.position = position;
            decode.alive = branch.alive;
            const std::vector<std::int32_t> unseen = branch.policy->hideBefore(decode);
            std::vector<std::int32_t> hidden;
            std::ranges::set_union(branch.hidden, unseen, std::back_inserter(hidden));
            branch.hidden = std::move(hidden);

            std::vector<float> attention;
            if (readsRows) {
                const int heads = rows->queryHeads() / static_cast<int>(states);
                attention = attentionOf(branch, *rows, step, static_cast<int>(set) * heads, heads);
                decode.attention = attention;
            }
            DecodeVerdict verdict = branch.policy->step(decode);
            for (const std::int32_t evicted : verdict.evicted)
                branch.timeline.evictedAt[static_cast<std::size_t>(evicted)] = static_cast<std::int32_t>(step + 1);
            branch.alive = without(branch.alive, verdict.evicted);
            branch.hidden = std::move(verdict.hidden);
        }
    }

    for (Branch& branch : branches)
        timelines.push_back(std::move(branch.timeline));
    timelines.resize(kept.sets.size(), timelines.front());
    return timelines;
}

} // namespace kvloupe
