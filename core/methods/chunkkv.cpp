// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/chunkkv.h"

#include "core/methods/lagkv.h"
#include "core/methods/parameter_values.h"
#include "core/methods/snapkv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace kvloupe {

WholeChunks::WholeChunks(Parameters parameters, std::shared_ptr<const Chooser> inner)
    : m_parameters(parameters)
    , m_inner(std::move(inner))
{
}

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// [T]: scores of a token summed over the sets. NaN counts as minus infinity.
std::vector<double> summedScores(const Scores& layer)
{
    std::vector<double> sums(static_cast<std::size_t>(layer.tokens), 0.0);
    for (int set = 0; set < layer.sets; ++set) {
        const auto scores = layer.set(set);
        for (std::size_t token = 0; token < sums.size(); ++token)
            sums[token] += std::isnan(scores[token]) ? -infinity : static_cast<double>(scores[token]);
    }
    return sums;
}

/// The same with `end` in place of infinite scores, or 1 more than the largest finite score of the layer.
std::vector<double> summedScoresWithFiniteEnds(const Scores& layer, std::optional<float> end)
{
    float largest = -std::numeric_limits<float>::infinity();
    for (const float score : layer.values)
        if (std::isfinite(score))
            largest = std::max(largest, score);
    Scores finite = layer;
    const float above = std::isfinite(largest) ? largest + 1.0F : 1.0F;
    std::ranges::replace(finite.values, std::numeric_limits<float>::infinity(), end.value_or(above));
    return summedScores(finite);
}

/// Best first, of equal ones the earlier.
template <typename Chunk> void sortBestFirst(std::vector<Chunk>& chunks)
{
    std::ranges::stable_sort(chunks, [](const Chunk& a, const Chunk& b) { return a.score > b.score; });
}

void appendTokens(std::vector<std::int32_t>& kept, std::int64_t begin, std::int64_t end)
{
    for (std::int64_t token = begin; token < end; ++token)
        kept.push_back(static_cast<std::int32_t>(token));
}

} // namespace

std::vector<WholeChunks::Chunk> WholeChunks::chunksOf(
    std::span<const double> tokens, std::int64_t begin, std::int64_t end) const
{
    const std::int64_t length = m_parameters.chunk;
    std::vector<Chunk> chunks;
    for (std::int64_t at = begin; at < end;) {
        Chunk& chunk = chunks.emplace_back();
        chunk.begin = at;
        chunk.end = std::min(end, (at / length + 1) * length);
        for (std::int64_t token = chunk.begin; token < chunk.end; ++token)
            chunk.score += tokens[static_cast<std::size_t>(token)];
        if (m_parameters.aggregation == Aggregation::Mean)
            chunk.score /= static_cast<double>(chunk.end - chunk.begin);
        at = chunk.end;
    }
    return chunks;
}

bool WholeChunks::isShort(const Scores& layer) const
{
    return layer.tokens < m_parameters.chunk && m_parameters.rule != Rule::Paper;
}

std::int64_t WholeChunks::chunkBudget(const Budget& budget, std::int64_t tokens, std::int64_t chunks) const
{
    if (budget.kind() == BudgetKind::Capacity)
        return std::max<std::int64_t>(1, chunks * budget.tokensKept(tokens) / tokens);
    return budget.tokensKept(chunks, m_parameters.rounding);
}

std::vector<std::int32_t> WholeChunks::chooseTokens(const Scores& layer, const ChoiceContext& context) const
{
    const std::int64_t count = context.budget.tokensKept(layer.tokens, m_parameters.rounding);
    const Protection ends = infiniteEnds(layer.set(0));
    const std::int64_t guarded = std::min(ends.sinks + ends.recent, layer.tokens);
    context.noteIfBelow(count, guarded);
    std::vector<std::int32_t> kept = selectEnds(layer.tokens, count, ends);
    if (count <= guarded)
        return kept;

    std::vector<Chunk> chunks = chunksOf(summedScores(layer), ends.sinks, layer.tokens - ends.recent);
    sortBestFirst(chunks);
    std::int64_t left = count - guarded;
    for (const Chunk& chunk : chunks)
        if (chunk.end - chunk.begin <= left) {
            appendTokens(kept, chunk.begin, chunk.end);
            left -= chunk.end - chunk.begin;
        }
    if (left == count - guarded)
        context.note(
            fmt::format("no chunk of {} tokens fits into the {} that the budget leaves beside protected tokens",
                m_parameters.chunk, left));
    std::ranges::sort(kept);
    return kept;
}

std::vector<std::int32_t> WholeChunks::chooseChunks(const Scores& layer, const ChoiceContext& context) const
{
    std::vector<Chunk> chunks
        = chunksOf(summedScoresWithFiniteEnds(layer, m_parameters.protectedScore), 0, layer.tokens);
    sortBestFirst(chunks);
    chunks.resize(
        static_cast<std::size_t>(chunkBudget(context.budget, layer.tokens, static_cast<std::int64_t>(chunks.size()))));
    std::vector<std::int32_t> kept;
    for (const Chunk& chunk : chunks)
        appendTokens(kept, chunk.begin, chunk.end);
    std::ranges::sort(kept);
    return kept;
}

std::vector<std::int32_t> WholeChunks::choosePaper(const Scores& layer, const ChoiceContext& context) const
{
    const std::int64_t count = context.budget.tokensKept(layer.tokens, m_parameters.rounding);
    const std::int64_t window = std::min(m_parameters.window, layer.tokens);
    context.noteIfBelow(count, window);
    std::vector<std::int32_t> kept = selectEnds(layer.tokens, count, {0, window});
    if (count <= window)
        return kept;

    std::vector<Chunk> chunks = chunksOf(summedScores(layer), 0, layer.tokens);
    sortBestFirst(chunks);
    const auto best = chunks.begin()
        + static_cast<std::ptrdiff_t>(std::min(count / m_parameters.chunk, static_cast<std::int64_t>(chunks.size())));
    std::sort(chunks.begin(), best, [](const Chunk& a, const Chunk& b) { return a.begin < b.begin; });
    std::int64_t left = count - window;
    for (const Chunk& chunk : chunks) {
        const std::int64_t end = std::min({chunk.end, layer.tokens - window, chunk.begin + left});
        appendTokens(kept, chunk.begin, end);
        left -= std::max<std::int64_t>(end - chunk.begin, 0);
    }
    std::ranges::sort(kept);
    return kept;
}

std::size_t WholeChunks::leaderOf(std::span<const Scores> scores, const ChoiceContext& context, std::size_t index) const
{
    const int layer = context.layers[index];
    const int leader = layer - layer % m_parameters.reuseLayers;
    const auto found = std::ranges::find(context.layers, leader);
    if (found == context.layers.end())
        throw MethodError(fmt::format("chunkkv: layer {} takes the chunks of layer {} (reuse_layers={}), which was not "
                                      "recorded",
            layer, leader, m_parameters.reuseLayers));
    const auto place = static_cast<std::size_t>(found - context.layers.begin());
    if (scores[place].tokens != scores[index].tokens || scores[place].firstPosition != scores[index].firstPosition)
        throw MethodError(fmt::format("chunkkv: layer {} takes the chunks of layer {} (reuse_layers={}), but holds {} "
                                      "tokens and that one {}",
            layer, leader, m_parameters.reuseLayers, scores[index].tokens, scores[place].tokens));
    return place;
}

std::vector<KeepSet> WholeChunks::choose(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<KeepSet> result;
    for (std::size_t index = 0; index < scores.size(); ++index) {
        if (const std::size_t leader = leaderOf(scores, context, index); leader != index) {
            result.push_back(KeepSet(result[leader]));
            continue;
        }
        const Scores& layer = scores[index];
        if (isShort(layer)) {
            context.note("the prompt is shorter than a chunk: tokens were chosen one by one");
            ChoiceContext one = context;
            one.layers = context.layers.subspan(index, 1);
            result.push_back(std::move(m_inner->choose(scores.subspan(index, 1), one).front()));
            continue;
        }
        std::vector<std::int32_t> kept;
        switch (m_parameters.rule) {
        case Rule::Tokens:
            kept = chooseTokens(layer, context);
            break;
        case Rule::Chunks:
            kept = chooseChunks(layer, context);
            break;
        case Rule::Paper:
            kept = choosePaper(layer, context);
            break;
        }
        result.push_back(layerKeepSet(std::move(kept), context.kvHeads));
    }
    return result;
}

std::vector<LayerRanking> WholeChunks::rank(std::span<const Scores> scores, const ChoiceContext& context) const
{
    std::vector<LayerRanking> result;
    for (std::size_t index = 0; index < scores.size(); ++index) {
        if (const std::size_t leader = leaderOf(scores, context, index); leader != index) {
            result.push_back(LayerRanking(result[leader]));
            continue;
        }
        const Scores& layer = scores[index];
        if (isShort(layer)) {
            ChoiceContext one = context;
            one.layers = context.layers.subspan(index, 1);
            result.push_back(std::move(m_inner->rank(scores.subspan(index, 1), one).front()));
            continue;
        }
        Protection ends;
        if (m_parameters.rule == Rule::Tokens)
            ends = infiniteEnds(layer.set(0));
        else if (m_parameters.rule == Rule::Paper)
            ends.recent = std::min(m_parameters.window, layer.tokens);
        const std::int64_t ranked = layer.tokens - ends.recent;

        const auto tokens = static_cast<std::size_t>(layer.tokens);
        SetRanking ranking{std::vector<float>(tokens, std::numeric_limits<float>::quiet_NaN()),
            std::vector<Guard>(tokens, Guard::Window)};
        std::fill_n(ranking.guards.begin(), std::min(ends.sinks, ranked), Guard::Sink);
        const auto values = m_parameters.rule == Rule::Chunks
            ? summedScoresWithFiniteEnds(layer, m_parameters.protectedScore)
            : summedScores(layer);
        const std::int64_t end = m_parameters.rule == Rule::Tokens ? ranked : layer.tokens;
        for (const Chunk& chunk : chunksOf(values, ends.sinks, end))
            for (std::int64_t token = chunk.begin; token < std::min(chunk.end, ranked); ++token) {
                ranking.scores[static_cast<std::size_t>(token)] = static_cast<float>(chunk.score);
                ranking.guards[static_cast<std::size_t>(token)] = Guard::None;
            }
        result.emplace_back().sets.resize(static_cast<std::size_t>(context.kvHeads), ranking);
    }
    return result;
}

MethodInfo chunkKvMethod()
{
    MethodInfo info;
    info.name = "chunkkv";
    info.title = "ChunkKV";
    info.summary = "Keeps or drops whole chunks of neighbouring tokens, by the scores of another method.";
    info.source = "Liu et al. 2025, arXiv 2502.00299, section 3";
    info.parameters = {
        {"scorer", ParameterInfo::Type::Text, "snapkv", "method whose token scores are used, name[@preset]", 0, 0, {}},
        {"chunk", ParameterInfo::Type::Integer, "10", "tokens per chunk", 1, 1e9, {}},
        {"agg", ParameterInfo::Type::Choice, "mean", "how the tokens of a chunk are brought to one score", 0, 0,
            {"mean", "sum"}},
        {"rule", ParameterInfo::Type::Choice, "tokens",
            "tokens: protected tokens, then whole chunks that fit; chunks: a share of the chunks; paper: Algorithm 1",
            0, 0, {"tokens", "chunks", "paper"}},
        {"reuse_layers", ParameterInfo::Type::Integer, "1",
            "groups of so many layers keep the tokens that the first of the group keeps", 1, 1e6, {}},
        budgetRoundingParameter(),
    };
    info.presets = {
        {"kvpress",
            {{"scorer", "snapkv@kvpress"}, {"chunk", "20"}, {"rule", "chunks"}, {"budget_rounding", "trunc_double"}},
            "ChunkKVPress(SnapKVPress) of kvpress: the number of tokens is met up to a chunk"},
        {"paper", {{"agg", "sum"}, {"rule", "paper"}},
            "Algorithm 1 of the paper on softmax attention of the last queries, without pooling"},
    };
    info.wrap = [](const ParameterValues& values, const Method& inner) {
        WholeChunks::Parameters parameters;
        parameters.chunk = integerValue(values, "chunk");
        parameters.aggregation
            = values.at("agg") == "sum" ? WholeChunks::Aggregation::Sum : WholeChunks::Aggregation::Mean;
        parameters.reuseLayers = static_cast<int>(integerValue(values, "reuse_layers"));
        parameters.rounding = budgetRule(values);
        Method method;
        method.granularity = Granularity::Layer;
        method.scorer = inner.scorer;
        if (values.at("rule") == "chunks")
            parameters.rule = WholeChunks::Rule::Chunks;
        // What LagKV protects scores just 1 in kvpress, above ranks in [0, 1).
        if (dynamic_cast<const LagKvScorer*>(inner.scorer.get()) != nullptr)
            parameters.protectedScore = 1.0F;
        if (values.at("rule") == "paper") {
            const auto* window = dynamic_cast<const SnapKvScorer*>(inner.scorer.get());
            if (window == nullptr)
                throw MethodError(fmt::format(
                    "chunkkv: scorer is {}, expected snapkv with rule=paper, which scores by the attention of the last "
                    "queries",
                    inner.name));
            parameters.rule = WholeChunks::Rule::Paper;
            parameters.window = window->parameters().window;
            SnapKvScorer::Parameters scored = window->parameters();
            scored.kernel = 1;
            scored.windowTokens = SnapKvScorer::WindowTokens::Scored;
            method.scorer = std::make_shared<SnapKvScorer>(scored);
            method.parameters.emplace("scorer.kernel", "1");
        }
        method.chooser = std::make_shared<WholeChunks>(parameters, inner.chooser);
        return method;
    };
    return info;
}

} // namespace kvloupe
