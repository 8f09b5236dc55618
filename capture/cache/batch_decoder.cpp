// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/batch_decoder.h"

#include "capture/cache/live_model.h"
#include "capture/model/model_error.h"
#include "capture/model/next_token.h"
#include "capture/model/pass_attention.h"
#include "capture/model/prompt_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kvloupe {

namespace {

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

/// Each row looks at the cache of its branch.
class BranchAttention final : public PassAttention {
public:
    /// `layer(branch, layer)` is the cache of a branch; `policies`: whether they act in this pass.
    BranchAttention(const LiveModel& model, std::span<Branch* const> branches,
        std::function<LayerCache&(std::size_t branch, int layer)> layer, bool policies)
        : m_model(model)
        , m_branches(branches)
        , m_layer(std::move(layer))
        , m_policies(policies)
        , m_order(branches.size())
        , m_scratch(branches.size())
    {
        std::vector<double> sizes;
        for (std::size_t b = 0; b < branches.size(); ++b) {
            const CacheShape& shape = branches[b]->prompt().shape;
            m_scratch[b].queries = AlignedFloats(index(shape.queryHeads * shape.headDim));
            m_scratch[b].attention.resize(index(shape.queryHeads));
            sizes.push_back(branches[b]->meanTokens());
        }
        // The expensive ones first, so that threads end together.
        std::iota(m_order.begin(), m_order.end(), std::size_t{0});
        std::ranges::stable_sort(m_order, [&](std::size_t a, std::size_t b) { return sizes[a] > sizes[b]; });
    }

    void attend(const LayerRows& rows, PassWorkspace& workspace) override
    {
        const std::int64_t dim = m_branches.front()->prompt().shape.headDim;
        const std::int64_t width = dim * m_branches.front()->prompt().shape.queryHeads;
        std::vector<Part> states;
        std::vector<ListAttention> lists;
        for (const std::size_t b : m_order) {
            LayerCache& cache = m_layer(b, rows.layer);
            for (int state = 0; state < cache.states(); ++state)
                states.push_back({&cache, b, state});
            float* const context = rows.context.data() + static_cast<std::int64_t>(b) * width;
            for (int list = 0; list < cache.lists(); ++list)
                lists.push_back({&cache, list, context + list * (width / cache.lists()), &m_scratch[b]});
        }
        const auto eachState = [&](const auto& body) {
            workspace.runner().run(
                std::ssize(states), [&](std::int64_t task, int) { body(states[static_cast<std::size_t>(task)]); });
        };
        eachState([&](const Part& part) {
            const auto row = static_cast<std::int64_t>(part.branch);
            LayerCache::Row of{rows.queries.data() + row * dim, rows.keys.data() + row * dim,
                rows.values.data() + row * dim, rows.rows * dim, m_branches[part.branch]->position(),
                rows.positions[part.branch]};
            part.cache->append(part.number, of, m_policies, m_scratch[part.branch]);
        });
        m_model.attend(lists, workspace);
        if (!m_policies)
            return;
        eachState([&](const Part& part) {
            part.cache->decide(part.number, m_branches[part.branch]->position(), m_scratch[part.branch]);
        });
    }

private:
    struct Part {
        LayerCache* cache = nullptr;
        std::size_t branch = 0;
        int number = 0; ///< of the state
    };

    const LiveModel& m_model;
    std::span<Branch* const> m_branches;
    std::function<LayerCache&(std::size_t, int)> m_layer;
    bool m_policies;
    std::vector<std::size_t> m_order;
    std::vector<StepScratch> m_scratch;
};

NextToken read(std::span<const float> logits)
{
    NextToken next;
    next.add(logits, 0);
    if (!next.finite())
        throw ModelError("branch: the logits hold infinities or NaN");
    return next;
}

/// KL(p || q) of two rows of logits, nats.
double divergence(std::span<const float> p, double pLogSum, std::span<const float> q, double qLogSum)
{
    double sum = 0.0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        const double logP = static_cast<double>(p[i]) - pLogSum;
        sum += std::exp(logP) * (logP - (static_cast<double>(q[i]) - qLogSum));
    }
    return std::max(0.0, sum);
}

/// Means of how many tokens branches hold, step by step.
class TokenMeans {
public:
    explicit TokenMeans(std::size_t branches)
        : m_sums(branches)
        , m_steps(branches)
    {
    }

    void add(std::size_t branch, double tokens)
    {
        m_sums[branch] += tokens;
        ++m_steps[branch];
    }
    double mean(std::size_t branch) const
    {
        return m_steps[branch] == 0 ? 0.0 : m_sums[branch] / static_cast<double>(m_steps[branch]);
    }

private:
    std::vector<double> m_sums;
    std::vector<std::int64_t> m_steps;
};

void report(const std::function<bool(double)>& progress, double share)
{
    if (progress && !progress(share))
        throw Cancelled("cancelled");
}

} // namespace

BatchDecoder::BatchDecoder(std::shared_ptr<const LiveModel> model)
    : m_model(std::move(model))
{
}

std::vector<float> BatchDecoder::run(
    std::span<Branch* const> branches, std::span<const std::int32_t> ids, bool policies) const
{
    if (branches.size() != ids.size())
        throw ModelError(fmt::format("batch: found {} tokens for {} branches", ids.size(), branches.size()));
    if (branches.empty())
        return {};
    std::vector<std::int64_t> positions;
    std::vector<std::int64_t> textTokens;
    for (const Branch* branch : branches) {
        if (branch->position() >= m_model->config().maxPositions)
            throw ModelError(fmt::format("branch: found {} tokens, expected fewer than {}, the context of the model",
                branch->position(), m_model->config().maxPositions));
        requireSameRope(m_model->config(), branch->prompt().promptTokens, branch->position() + 1);
        positions.push_back(branch->rotaryPosition());
        textTokens.push_back(branch->position() + 1);
    }
    BranchAttention attention(
        *m_model, branches,
        [&](std::size_t branch, int layer) -> LayerCache& {
            return branches[branch]->m_layers[static_cast<std::size_t>(layer)];
        },
        policies);
    std::vector<float> logits = m_model->run({ids, positions, textTokens}, attention);
    for (Branch* branch : branches)
        ++branch->m_position;
    return logits;
}

std::vector<float> BatchDecoder::step(std::span<Branch* const> branches, std::span<const std::int32_t> ids) const
{
    m_model->runTasks(std::ssize(branches),
        [&](std::int64_t branch) { branches[static_cast<std::size_t>(branch)]->beginDecoding(); });
    return run(branches, ids, true);
}

void BatchDecoder::setPromptLogits(std::span<Branch* const> branches, std::span<const float> logits)
{
    const std::size_t vocabulary = branches.empty() ? 0 : logits.size() / branches.size();
    for (std::size_t b = 0; b < branches.size(); ++b) {
        const auto row = logits.subspan(b * vocabulary, vocabulary);
        branches[b]->m_ownLogits = std::make_shared<const std::vector<float>>(row.begin(), row.end());
        branches[b]->m_logits = *branches[b]->m_ownLogits;
    }
}

void BatchDecoder::repeatLastToken(std::span<Branch* const> branches) const
{
    std::vector<std::int32_t> ids;
    std::vector<std::vector<bool>> lacks(branches.size()); // per branch: [layer and state]
    for (std::size_t b = 0; b < branches.size(); ++b) {
        Branch& branch = *branches[b];
        if (branch.m_decoding || branch.m_position != branch.m_prompt->promptTokens)
            throw ModelError("branch: the last prompt token is to be repeated, but tokens have been generated");
        const auto last = static_cast<std::int32_t>(--branch.m_position);
        for (LayerCache& layer : branch.m_layers) {
            for (int state = 0; state < layer.states(); ++state) {
                const auto alive = layer.alive(state);
                lacks[b].push_back(alive.empty() || alive.back() != last);
                layer.evict(state, std::span(&last, 1));
            }
        }
        ids.push_back(branch.m_prompt->lastToken);
    }
    setPromptLogits(branches, run(branches, ids, false));
    for (std::size_t b = 0; b < branches.size(); ++b) {
        Branch& branch = *branches[b];
        const auto last = static_cast<std::int32_t>(branch.m_position - 1);
        auto lacking = lacks[b].begin();
        for (LayerCache& layer : branch.m_layers)
            for (int state = 0; state < layer.states(); ++state)
                if (*lacking++)
                    layer.evict(state, std::span(&last, 1));
    }
}

void BatchDecoder::feed(std::span<Branch* const> branches, std::span<const std::int32_t> ids,
    const std::function<bool(double)>& progress) const
{
    std::vector<float> logits;
    for (std::size_t place = 0; place < ids.size(); ++place) {
        logits = step(branches, std::vector<std::int32_t>(branches.size(), ids[place]));
        report(progress, static_cast<double>(place + 1) / static_cast<double>(ids.size()));
    }
    if (!ids.empty())
        setPromptLogits(branches, logits);
}

std::vector<BatchDecoder::Generated> BatchDecoder::generateGreedy(
    std::span<Branch* const> branches, const GenerateOptions& options) const
{
    const auto limit
        = [&](std::size_t b) { return options.maxTokensOf.empty() ? options.maxTokens : options.maxTokensOf.at(b); };
    std::vector<Generated> results(branches.size());
    TokenMeans means(branches.size());
    std::int64_t longest = 0;
    /// Takes the likeliest token of a row; whether the branch goes on.
    const auto choose = [&](std::size_t b, std::span<const float> logits) {
        const std::int32_t id = read(logits).ids().front();
        results[b].ids.push_back(id);
        const bool goOn = !options.onToken || options.onToken(b, id);
        return goOn && std::ranges::find(options.eosIds, id) == options.eosIds.end()
            && std::ssize(results[b].ids) < limit(b);
    };

    std::vector<std::size_t> going;
    for (std::size_t b = 0; b < branches.size(); ++b) {
        longest = std::max(longest, limit(b));
        if (limit(b) > 0 && choose(b, branches[b]->promptLogits()))
            going.push_back(b);
    }
    for (std::int64_t steps = 1; !going.empty(); ++steps) {
        std::vector<Branch*> batch;
        std::vector<std::int32_t> ids;
        for (const std::size_t b : going) {
            batch.push_back(branches[b]);
            ids.push_back(results[b].ids.back());
            means.add(b, branches[b]->meanTokens());
        }
        const std::vector<float> logits = step(batch, ids);
        const std::size_t vocabulary = logits.size() / batch.size();
        std::vector<std::size_t> left;
        for (std::size_t row = 0; row < going.size(); ++row)
            if (choose(going[row], std::span(logits).subspan(row * vocabulary, vocabulary)))
                left.push_back(going[row]);
        going = std::move(left);
        report(options.progress, static_cast<double>(steps) / static_cast<double>(std::max<std::int64_t>(longest, 1)));
    }
    for (std::size_t b = 0; b < branches.size(); ++b)
        results[b].meanTokens = means.mean(b);
    return results;
}

std::vector<BatchDecoder::Forced> BatchDecoder::score(std::span<Branch* const> branches,
    std::span<const std::vector<std::int32_t>> tokens, std::optional<std::size_t> reference,
    const std::function<bool(double)>& progress) const
{
    if (tokens.size() != branches.size())
        throw ModelError(fmt::format("batch: found {} runs of tokens for {} branches", tokens.size(), branches.size()));
    std::size_t longest = 0;
    for (const auto& run : tokens) {
        longest = std::max(longest, run.size());
        if (reference && run.size() != tokens[*reference].size())
            throw ModelError(fmt::format("batch: found {} tokens, expected {}, as many as the reference is given",
                run.size(), tokens[*reference].size()));
        for (const std::int32_t id : run)
            if (id < 0 || id >= m_model->config().vocabSize)
                throw ModelError(
                    fmt::format("token to score: found id {}, expected 0 to {}", id, m_model->config().vocabSize - 1));
    }

    std::vector<Forced> results(branches.size());
    TokenMeans means(branches.size());
    std::vector<std::size_t> going(branches.size());
    std::iota(going.begin(), going.end(), std::size_t{0});
    std::vector<float> logits; // of the branches in `going`, (B, vocab)
    for (std::size_t place = 0; place < longest; ++place) {
        std::erase_if(going, [&](std::size_t b) { return tokens[b].size() <= place; });
        std::vector<std::span<const float>> rows;
        if (place == 0) {
            for (const std::size_t b : going)
                rows.push_back(branches[b]->promptLogits());
        } else {
            std::vector<Branch*> batch;
            std::vector<std::int32_t> ids;
            for (const std::size_t b : going) {
                batch.push_back(branches[b]);
                ids.push_back(tokens[b][place - 1]);
                means.add(b, branches[b]->meanTokens());
            }
            logits = step(batch, ids);
            const std::size_t vocabulary = logits.size() / batch.size();
            for (std::size_t row = 0; row < batch.size(); ++row)
                rows.push_back(std::span<const float>(logits).subspan(row * vocabulary, vocabulary));
        }
        std::vector<double> logSums(going.size());
        const auto atReference = reference ? std::ranges::find(going, *reference) - going.begin() : 0;
        m_model->runTasks(std::ssize(going), [&](std::int64_t task) {
            const auto row = static_cast<std::size_t>(task);
            logSums[row] = read(rows[row]).logSumExp();
            const auto token = static_cast<std::size_t>(tokens[going[row]][place]);
            results[going[row]].logProbs.push_back(
                static_cast<float>(static_cast<double>(rows[row][token]) - logSums[row]));
        });
        if (reference) {
            const auto ofReference = static_cast<std::size_t>(atReference);
            m_model->runTasks(std::ssize(going), [&](std::int64_t task) {
                const auto row = static_cast<std::size_t>(task);
                results[going[row]].divergence.push_back(
                    static_cast<float>(divergence(rows[ofReference], logSums[ofReference], rows[row], logSums[row])));
            });
        }
        report(progress, static_cast<double>(place + 1) / static_cast<double>(longest));
    }
    for (std::size_t b = 0; b < branches.size(); ++b)
        results[b].meanTokens = means.mean(b);
    return results;
}

} // namespace kvloupe
