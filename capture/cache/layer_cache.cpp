// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/layer_cache.h"

#include "capture/checkpoint/model_config.h"
#include "capture/model/rope.h"
#include "core/methods/group_reduction.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <utility>

namespace kvloupe {

namespace {

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// Indices of `wanted` in `positions`, both ascending.
std::vector<std::int64_t> indicesOf(
    std::span<const std::int32_t> wanted, std::span<const std::int64_t> positions, int layer)
{
    std::vector<std::int64_t> indices;
    indices.reserve(wanted.size());
    auto from = positions.begin();
    for (const std::int32_t position : wanted) {
        from = std::lower_bound(from, positions.end(), position);
        if (from == positions.end() || *from != position)
            throw MethodError(
                fmt::format("layer {}: position {} is to be kept, but is not in the cache", layer, position));
        indices.push_back(from - positions.begin());
    }
    return indices;
}

/// How far tokens of `alive` move when `removed` leave and the rest close ranks, for those that stay.
std::vector<std::int32_t> shiftsAfter(std::span<const std::int32_t> alive, std::span<const std::int32_t> removed)
{
    std::vector<std::int32_t> shifts;
    std::int32_t gone = 0;
    auto next = removed.begin();
    for (const std::int32_t position : alive) {
        while (next != removed.end() && *next < position)
            ++next;
        if (next != removed.end() && *next == position)
            ++gone;
        else
            shifts.push_back(-gone);
    }
    return shifts;
}

} // namespace

CacheShape cacheShape(const ModelConfig& config, std::int64_t promptTokens)
{
    auto layers = std::make_shared<std::vector<LayerPositions>>();
    for (int layer = 0; layer < config.numLayers; ++layer)
        layers->push_back({config.window(layer), config.rope(layer).frequenciesOf(promptTokens)});
    return {
        config.numLayers, config.numHeads, config.numKvHeads, config.headDim, config.attentionScale, std::move(layers)};
}

std::span<float> StepScratch::attentionOf(int list, std::int64_t floats)
{
    AlignedFloats& of = attention[index(list)];
    if (std::ssize(of.span()) < floats)
        of = AlignedFloats(index(floats * 5 / 4));
    return of.span();
}

LayerCache::LayerCache(const CacheShape& shape, int layer, const PromptCache& prefill, const Cut& cut)
    : m_shape(shape)
    , m_layer(layer)
    , m_promptTokens(cut.promptTokens)
    , m_positions(cut.method.positions)
    , m_needs(cut.method.decodePolicy ? cut.method.decodePolicy->needs() : DecodeNeeds{})
{
    const auto& sets = cut.kept.sets;
    const DecodePolicy* const policy = cut.method.decodePolicy.get();
    const bool wholeLayer
        = policy != nullptr ? policy->granularity() == Granularity::Layer : cut.kept.granularity == Granularity::Layer;
    if (sets.empty() || index(m_shape.queryHeads) % sets.size() != 0 || sets.size() < index(m_shape.kvHeads))
        throw MethodError(fmt::format("method '{}', layer {}: found {} kept sets, expected one per KV head ({}) or "
                                      "query head ({})",
            cut.method.spec, layer, sets.size(), m_shape.kvHeads, m_shape.queryHeads));
    if (wholeLayer && std::ranges::any_of(sets, [&](const auto& set) { return set != sets.front(); }))
        throw MethodError(
            fmt::format("method '{}', layer {}: it decides for the layer, but its heads hold different tokens",
                cut.method.spec, layer));
    if (wholeLayer && m_needs.keys)
        throw MethodError(
            fmt::format("method '{}' reads the keys of a whole layer, expected those of one head", cut.method.spec));

    for (std::size_t list = 0; list < sets.size(); ++list) {
        const auto kvHead = static_cast<int>(list * index(m_shape.kvHeads) / sets.size());
        const std::vector<std::int64_t> kept = indicesOf(sets[list], prefill.positions(layer), layer);
        PromptCache::Selection selection{layer, kvHead, kept};
        selection.keyRows = m_needs.keys;
        std::vector<std::int64_t> shifts;
        if (m_positions == PositionMode::Rerotate) {
            for (std::size_t i = 0; i < kept.size(); ++i)
                shifts.push_back(static_cast<std::int64_t>(i) - sets[list][i]);
            selection.shifts = shifts;
            selection.frequencies = layerPositions().frequencies;
        }
        m_lists.push_back(prefill.gather(selection));
    }
    for (std::size_t list = 0; list < (wholeLayer ? 1 : sets.size()); ++list)
        m_states.push_back({SlotMap(sets[list]), {}, {}, policy != nullptr ? policy->clone() : nullptr});
}

LayerCache::LayerCache(const LayerCache& other)
    : m_shape(other.m_shape)
    , m_layer(other.m_layer)
    , m_promptTokens(other.m_promptTokens)
    , m_positions(other.m_positions)
    , m_needs(other.m_needs)
{
    for (const auto& list : other.m_lists)
        m_lists.push_back(list->clone());
    for (const State& from : other.m_states)
        m_states.push_back({from.map, from.hidden, from.unseen, from.policy ? from.policy->clone() : nullptr});
}

LayerCache& LayerCache::operator=(const LayerCache& other)
{
    LayerCache copy(other);
    *this = std::move(copy);
    return *this;
}

std::int64_t LayerCache::bytes() const
{
    std::int64_t sum = 0;
    for (const auto& list : m_lists)
        sum += list->bytes();
    for (const State& one : m_states)
        sum += one.map.bytes();
    return sum;
}

KeyRows LayerCache::keyRows(int at) const
{
    if (!m_needs.keys)
        return {};
    return {store(at).keyRows(), m_shape.headDim, m_states[index(at)].map.slots()};
}

void LayerCache::begin(const Start& start)
{
    std::int64_t capacity = 0;
    for (const State& one : m_states)
        capacity = std::max(capacity, one.map.size());
    const auto perHead = index(start.lastQueryCount * m_shape.headDim);
    for (int at = 0; at < states(); ++at) {
        State& one = m_states[index(at)];
        if (!one.policy)
            continue;
        DecodeStart begin;
        begin.layer = m_layer;
        begin.numLayers = m_shape.numLayers;
        begin.head = at;
        begin.queryHeads = headsPerState();
        begin.headDim = m_shape.headDim;
        begin.softmaxScale = m_shape.softmaxScale;
        begin.promptTokens = m_promptTokens;
        begin.alive = one.map.alive();
        begin.keys = keyRows(at);
        begin.capacity = start.budget != nullptr ? heldCapacity(capacity, *start.budget) : capacity;
        begin.budget = start.budget;
        begin.decodeBudget = start.decodeBudget;
        if (std::ssize(start.scores) == states() * m_promptTokens)
            begin.scores = start.scores.subspan(index(at * m_promptTokens), index(m_promptTokens));
        std::vector<float> queries;
        if (m_needs.promptQueries > 0) {
            begin.lastQueryCount = std::min({m_needs.promptQueries, m_promptTokens, start.lastQueryCount});
            const auto count = index(begin.lastQueryCount * m_shape.headDim);
            for (int head = at * headsPerState(); head < (at + 1) * headsPerState(); ++head) {
                const auto newest = start.lastQueries.subspan((index(head) + 1) * perHead - count, count);
                queries.insert(queries.end(), newest.begin(), newest.end());
            }
            begin.lastQueries = queries;
        }
        one.hidden = one.policy->begin(begin);
    }
}

std::span<const float> LayerCache::queriesOf(int at, const StepScratch& scratch) const
{
    const auto perState = index(headsPerState() * m_shape.headDim);
    return scratch.queries.span().subspan(index(at) * perState, perState);
}

void LayerCache::append(int at, const Row& row, bool policies, StepScratch& scratch)
{
    State& one = m_states[index(at)];
    const auto dim = index(m_shape.headDim);
    // Lists of other lengths than that which the pass turned the row by put their own turn on top.
    const std::int64_t own = m_positions == PositionMode::Rerotate ? one.map.size() : row.rotaryPosition;
    const std::int64_t shift = own - row.rotaryPosition;
    std::optional<RopeTable> turn;
    if (shift != 0)
        turn.emplace(layerPositions().frequencies, std::span(&shift, 1));
    const auto turned = [&](const float* from, std::span<float> to) {
        if (turn)
            applyRope({from, dim}, turn->cosines(0), turn->sines(0), to);
        else
            std::copy_n(from, dim, to.begin());
    };

    const std::int64_t slot = one.map.add(static_cast<std::int32_t>(row.position));
    std::vector<float> key(dim);
    for (int list = at * listsPerState(); list < (at + 1) * listsPerState(); ++list) {
        const std::int64_t kvHead = std::int64_t{list} * m_shape.kvHeads / lists();
        turned(row.keys + kvHead * row.headStride, key);
        store(list).put(slot, key, {row.values + kvHead * row.headStride, dim});
    }
    for (int head = at * headsPerState(); head < (at + 1) * headsPerState(); ++head)
        turned(row.queries + head * row.headStride, scratch.queries.span().subspan(index(head) * dim, dim));

    one.unseen = outsideWindow(at, own);
    if (!policies || !one.policy)
        return;
    DecodeStep step;
    step.position = row.position;
    step.alive = one.map.alive();
    step.keys = keyRows(at);
    if (m_needs.queries)
        step.query = queriesOf(at, scratch);
    std::vector<std::int32_t> hidden;
    std::ranges::set_union(one.hidden, one.policy->hideBefore(step), std::back_inserter(hidden));
    const std::vector<std::int32_t> outside = std::move(one.unseen);
    one.unseen.clear();
    std::ranges::set_union(outside, hidden, std::back_inserter(one.unseen));
}

/// Cached tokens that a query at `place` is too far from: places are positions, or ranks where tokens close ranks.
std::vector<std::int32_t> LayerCache::outsideWindow(int at, std::int64_t place) const
{
    const std::int64_t window = layerPositions().window;
    const auto alive = m_states[index(at)].map.alive();
    if (window == 0)
        return {};
    const auto end = m_positions == PositionMode::Rerotate
        ? alive.begin() + std::clamp<std::int64_t>(place - window + 1, 0, std::ssize(alive))
        : std::ranges::upper_bound(alive, place - window);
    return {alive.begin(), end};
}

std::vector<std::int32_t> LayerCache::maskedSlots(int list) const
{
    const State& one = state(list);
    const auto free = one.map.freeSlots();
    std::vector<std::int32_t> masked(free.begin(), free.end());
    for (std::int64_t slot = one.map.usedSlots(); slot < store(list).slots(); ++slot)
        masked.push_back(static_cast<std::int32_t>(slot));
    const auto alive = one.map.alive();
    auto hidden = one.unseen.begin();
    for (std::size_t i = 0; hidden != one.unseen.end() && i < alive.size(); ++i) {
        hidden = std::find_if(hidden, one.unseen.end(), [&](std::int32_t at) { return at >= alive[i]; });
        if (hidden != one.unseen.end() && *hidden == alive[i])
            masked.push_back(one.map.slots()[i]);
    }
    return masked;
}

/// What the query heads of a state look at, token by token, reduced as the policy wants it.
std::vector<float> LayerCache::policyAttention(int at, const StepScratch& scratch) const
{
    const State& one = m_states[index(at)];
    const auto slots = one.map.slots();
    HeadScores perHead(headsPerState(), one.map.size());
    for (int head = 0; head < headsPerState(); ++head) {
        const int list = at * listsPerState() + head / headsPerList();
        const float* const row = scratch.attention[index(list)].data() + head % headsPerList() * store(list).slots();
        std::ranges::transform(
            slots, perHead.set(head).begin(), [row](std::int32_t slot) { return static_cast<double>(row[slot]); });
    }
    const ReducedScores reduced = reduceGroups(std::move(perHead), Granularity::Layer, one.policy->groupReduction(), 1);
    std::vector<float> attention(slots.size());
    std::ranges::transform(reduced.scores.set(0), attention.begin(),
        [&](double value) { return static_cast<float>(value * reduced.scale); });
    return attention;
}

void LayerCache::decide(int at, std::int64_t position, StepScratch& scratch)
{
    State& one = m_states[index(at)];
    if (!one.policy)
        return;
    DecodeStep step;
    step.position = position;
    step.alive = one.map.alive();
    step.keys = keyRows(at);
    if (m_needs.queries)
        step.query = queriesOf(at, scratch);
    std::vector<float> attention;
    if (m_needs.attention) {
        attention = policyAttention(at, scratch);
        step.attention = attention;
    }
    DecodeVerdict verdict = one.policy->step(step);
    one.hidden = std::move(verdict.hidden);
    evict(at, verdict.evicted);
}

void LayerCache::evict(int at, std::span<const std::int32_t> positions)
{
    if (positions.empty())
        return;
    State& one = m_states[index(at)];
    std::vector<std::int32_t> shifts;
    if (m_positions == PositionMode::Rerotate)
        shifts = shiftsAfter(one.map.alive(), positions);
    const std::vector<SlotMap::Move> moves = one.map.remove(positions);
    for (int list = at * listsPerState(); list < (at + 1) * listsPerState(); ++list) {
        for (const auto& [from, to] : moves)
            store(list).move(from, to);
        store(list).shrink(one.map.usedSlots());
    }
    if (!shifts.empty())
        closeRanks(at, shifts);
}

/// Turns the keys of every token by how far it moved.
void LayerCache::closeRanks(int at, std::span<const std::int32_t> shifts)
{
    const auto slots = m_states[index(at)].map.slots();
    std::map<std::pair<std::int64_t, std::int32_t>, std::array<float, TokenStore::pageTokens>> chosen; // by page, shift
    for (std::size_t i = 0; i < shifts.size(); ++i)
        if (shifts[i] != 0)
            chosen[{slots[i] / TokenStore::pageTokens, shifts[i]}][index(slots[i] % TokenStore::pageTokens)] = 1.0F;
    std::map<std::int32_t, RopeTable> turns;
    for (const auto& [place, lanes] : chosen) {
        const std::int64_t shift = place.second;
        const RopeTable& turn
            = turns.try_emplace(place.second, layerPositions().frequencies, std::span(&shift, 1)).first->second;
        for (int list = at * listsPerState(); list < (at + 1) * listsPerState(); ++list)
            store(list).turn({place.first, lanes, place.second, turn.cosines(0), turn.sines(0)});
    }
}

} // namespace kvloupe
