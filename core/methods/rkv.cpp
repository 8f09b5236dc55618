// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/methods/rkv.h"

#include "core/attention/attention_kernels.h"
#include "core/methods/group_reduction.h"
#include "core/methods/parameter_values.h"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvloupe {

namespace {

void softmax(std::span<double> values)
{
    const double largest = std::ranges::max(values);
    double sum = 0.0;
    for (double& value : values)
        sum += value = std::exp(value - largest);
    for (double& value : values)
        value /= sum;
}

/// Keys divided by their length, [tokens, dim].
std::vector<float> unitKeys(const KeyRows& keys, std::size_t tokens)
{
    constexpr double smallest = 1e-8; // as in the code: a key of zeros stays one
    std::vector<float> units;
    units.reserve(tokens * static_cast<std::size_t>(keys.headDim));
    for (std::size_t token = 0; token < tokens; ++token) {
        double square = 0.0;
        for (const float value : keys.row(token))
            square += static_cast<double>(value) * static_cast<double>(value);
        const double length = std::sqrt(square) + smallest;
        for (const float value : keys.row(token))
            units.push_back(static_cast<float>(static_cast<double>(value) / length));
    }
    return units;
}

/// Column means of the thinned-out similarity, softmax over the tokens.
std::vector<double> redundancy(const KeyRows& keys, std::size_t tokens, double threshold)
{
    constexpr std::size_t blockRows = 48;
    const auto dim = static_cast<std::size_t>(keys.headDim);
    const std::vector<float> units = unitKeys(keys, tokens);
    const PackedKeys packed(units, keys.headDim);
    const std::size_t stride = (tokens + PackedKeys::panelKeys - 1) / PackedKeys::panelKeys * PackedKeys::panelKeys;
    AlignedFloats block(std::min(blockRows, tokens) * stride);
    std::vector<double> sums(tokens, 0.0);
    const auto limit = static_cast<float>(threshold);
    for (std::size_t first = 0; first < tokens; first += blockRows) {
        const std::size_t rows = std::min(blockRows, tokens - first);
        attention_kernels::dotProducts(units.data() + first * dim, static_cast<std::int64_t>(rows), packed, 0,
            static_cast<std::int64_t>(stride), false, 0, block.data(), static_cast<std::int64_t>(stride));
        for (std::size_t row = 0; row < rows; ++row) {
            float* const similarity = block.data() + row * stride;
            similarity[first + row] = 0.0F;
            std::size_t last = tokens;
            while (last > 0 && !(similarity[last - 1] > limit))
                --last;
            similarity[last > 0 ? last - 1 : 0] = 0.0F;
            for (std::size_t token = 0; token < tokens; ++token)
                sums[token] += static_cast<double>(similarity[token]);
        }
    }
    for (double& sum : sums)
        sum /= static_cast<double>(tokens);
    softmax(sums);
    return sums;
}

/// What the queries look at among the first `ranked` tokens.
std::vector<double> importance(
    std::span<const float> queries, std::int64_t rows, const KeyRows& keys, std::size_t ranked, double scale)
{
    const auto dim = static_cast<std::size_t>(keys.headDim);
    const std::size_t heads = queries.size() / (static_cast<std::size_t>(rows) * dim);
    std::vector<double> sums(ranked, 0.0);
    std::vector<double> logits(ranked);
    for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
        std::ranges::fill(logits, -std::numeric_limits<double>::infinity());
        for (std::size_t head = 0; head < heads; ++head) {
            const auto query = queries.subspan((head * static_cast<std::size_t>(rows) + row) * dim, dim);
            for (std::size_t token = 0; token < ranked; ++token) {
                const auto key = keys.row(token);
                double product = 0.0;
                for (std::size_t channel = 0; channel < dim; ++channel)
                    product += static_cast<double>(query[channel]) * static_cast<double>(key[channel]);
                logits[token] = std::max(logits[token], scale * product);
            }
        }
        softmax(logits);
        std::ranges::transform(sums, logits, sums.begin(), std::plus<>());
    }
    for (double& sum : sums)
        sum /= static_cast<double>(rows);
    return sums;
}

} // namespace

std::vector<double> RedundancyRule::scores(
    std::span<const float> queries, std::int64_t rows, const KeyRows& keys, std::size_t tokens, double scale) const
{
    const std::size_t ranked = tokens - std::min(static_cast<std::size_t>(window), tokens);
    if (ranked == 0 || rows == 0)
        return std::vector<double>(ranked, 0.0);
    std::vector<double> result(ranked);
    poolTokens(importance(queries, rows, keys, ranked, scale), kernel, TokenPooling::Maximum, result);
    const std::vector<double> redundant = redundancy(keys, tokens, threshold);
    for (std::size_t token = 0; token < ranked; ++token)
        result[token] = lambda * result[token] - (1.0 - lambda) * redundant[token];
    return result;
}

RedundancyScorer::RedundancyScorer(RedundancyRule rule)
    : m_rule(rule)
{
}

EvidenceNeeds RedundancyScorer::needs(const PromptLayout&) const
{
    EvidenceNeeds needs;
    needs.lastQueries = m_rule.window;
    needs.keys = true;
    return needs;
}

std::shared_ptr<const Scorer> RedundancyScorer::withoutPooling() const
{
    RedundancyRule rule = m_rule;
    rule.kernel = 1;
    return std::make_shared<RedundancyScorer>(rule);
}

Scores RedundancyScorer::score(const LayerEvidence& evidence, const PromptLayout& layout) const
{
    evidence.check(needs(layout));
    const std::int64_t rows = std::min<std::int64_t>(m_rule.window, evidence.tokens);
    HeadScores scores(evidence.kvHeads, evidence.tokens - rows);
    tbb::parallel_for(0, evidence.kvHeads, [&](int kvHead) {
        std::vector<float> queries;
        for (int head = kvHead * evidence.groupSize(); head < (kvHead + 1) * evidence.groupSize(); ++head)
            for (std::int64_t row = evidence.lastQueryCount - rows; row < evidence.lastQueryCount; ++row) {
                const auto query = evidence.lastQuery(head, row);
                queries.insert(queries.end(), query.begin(), query.end());
            }
        const KeyRows keys{evidence.keysOf(kvHead).data(), evidence.headDim, {}};
        std::ranges::copy(
            m_rule.scores(queries, rows, keys, static_cast<std::size_t>(evidence.tokens), evidence.softmaxScale),
            scores.set(kvHead).begin());
    });
    return finishedScores(scores, 1.0, Granularity::KvHead, evidence);
}

RedundancyPolicy::RedundancyPolicy(RedundancyRule rule, std::int64_t interval)
    : m_rule(rule)
    , m_interval(interval)
{
}

std::unique_ptr<DecodePolicy> RedundancyPolicy::clone() const
{
    return std::make_unique<RedundancyPolicy>(*this);
}

DecodeNeeds RedundancyPolicy::needs() const
{
    DecodeNeeds needs;
    needs.queries = true;
    needs.keys = true;
    needs.promptQueries = m_rule.window;
    return needs;
}

std::vector<std::int32_t> RedundancyPolicy::begin(const DecodeStart& start)
{
    m_capacity = start.capacity;
    m_generated = 0;
    m_scale = start.softmaxScale;
    m_heads = static_cast<std::size_t>(start.queryHeads);
    m_dim = static_cast<std::size_t>(start.headDim);
    m_rows = std::min<std::int64_t>(start.lastQueryCount, m_rule.window);
    m_queries.clear();
    const auto given = static_cast<std::size_t>(start.lastQueryCount);
    for (std::size_t head = 0; head < m_heads; ++head) {
        const auto queries = start.lastQueries.subspan(head * given * m_dim, given * m_dim);
        m_queries.insert(
            m_queries.end(), queries.end() - static_cast<std::ptrdiff_t>(m_rows) * start.headDim, queries.end());
    }
    return {};
}

void RedundancyPolicy::remember(std::span<const float> query)
{
    const auto rows = static_cast<std::size_t>(std::min<std::int64_t>(m_rows + 1, m_rule.window));
    const std::size_t dropped = static_cast<std::size_t>(m_rows) + 1 - rows;
    std::vector<float> queries;
    queries.reserve(m_heads * rows * m_dim);
    for (std::size_t head = 0; head < m_heads; ++head) {
        const auto old = std::span<const float>(m_queries).subspan(
            head * static_cast<std::size_t>(m_rows) * m_dim, static_cast<std::size_t>(m_rows) * m_dim);
        queries.insert(queries.end(), old.begin() + static_cast<std::ptrdiff_t>(dropped * m_dim), old.end());
        const auto added = query.subspan(head * m_dim, m_dim);
        queries.insert(queries.end(), added.begin(), added.end());
    }
    m_queries = std::move(queries);
    m_rows = static_cast<std::int64_t>(rows);
}

DecodeVerdict RedundancyPolicy::step(const DecodeStep& step)
{
    remember(step.query);
    if (++m_generated % m_interval != 0 || static_cast<std::int64_t>(step.alive.size()) <= m_capacity)
        return {};
    const std::vector<double> ranked = m_rule.scores(m_queries, m_rows, step.keys, step.alive.size(), m_scale);
    std::vector<float> scores(step.alive.size(), std::numeric_limits<float>::infinity());
    std::ranges::transform(ranked, scores.begin(), [](double score) { return static_cast<float>(score); });
    DecodeVerdict verdict = cutToBest(step.alive, scores, m_capacity, m_rule.window);
    std::ranges::replace(verdict.guards, Guard::Recent, Guard::Window);
    return verdict;
}

MethodInfo rkvMethod()
{
    using enum ParameterInfo::Type;
    MethodInfo info;
    info.name = "rkv";
    info.title = "R-KV";
    info.summary = "Keeps what the last queries look at and what other keys do not say as well, again and again while "
                   "decoding.";
    info.source = "Cai et al. 2025, arXiv 2505.24133, section 3, and its code";
    info.parameters = {
        {"window", Integer, "8", "newest queries that vote; their tokens are always kept", 1, 65536, {}},
        {"kernel", Integer, "7", "tokens over which importance is max-pooled, odd", 1, 65535, {}},
        {"lambda", Real, "0.1", "share of importance, the rest is redundancy", 0, 1, {}},
        {"threshold", Real, "0.5", "cosine similarity above which the last such key of a row is let off", -1, 1, {}},
        {"interval", Integer, "128", "generated tokens from one cut to the next; never = only the prompt is cut", 1,
            1e9, {"never"}},
        budgetRoundingParameter(),
    };
    info.presets = {
        {"code", {{"lambda", "0.07"}}, "the default of its code"},
    };
    info.make = [](const ParameterValues& values) {
        RedundancyRule rule;
        rule.window = static_cast<int>(integerValue(values, "window"));
        rule.kernel = static_cast<int>(integerValue(values, "kernel"));
        rule.lambda = realValue(values, "lambda");
        rule.threshold = realValue(values, "threshold");
        if (rule.kernel % 2 == 0)
            throw MethodError(fmt::format("rkv: kernel is {}, expected an odd number", rule.kernel));
        TopScores::Parameters choice;
        choice.rounding = budgetRule(values);
        Method method;
        method.granularity = Granularity::KvHead;
        method.scorer = std::make_shared<RedundancyScorer>(rule);
        method.chooser = std::make_shared<TopScores>(choice);
        if (values.at("interval") != "never")
            method.decodePolicy = std::make_shared<RedundancyPolicy>(rule, integerValue(values, "interval"));
        return method;
    };
    return info;
}

} // namespace kvloupe
