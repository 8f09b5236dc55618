// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/evaluation/prompt_run.h"

#include "capture/cache/batch_decoder.h"
#include "capture/cache/live_prompt.h"
#include "capture/model/model_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

namespace kvloupe {

namespace {

template <typename Number> double mean(const std::vector<Number>& values)
{
    return values.empty() ? 0.0
                          : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// The branches of one prompt, batch after batch.
class PromptRun {
public:
    PromptRun(std::shared_ptr<const LiveModel> model, const LivePrompt& prompt, std::span<const BranchRequest> requests,
        const PromptRunOptions& options)
        : m_config(model->config())
        , m_prompt(prompt)
        , m_requests(requests)
        , m_options(options)
        , m_decoder(std::move(model))
        , m_results(requests.size())
    {
    }

    std::vector<BranchRun> run()
    {
        while (m_next < m_requests.size())
            runBatch();
        return std::move(m_results);
    }

private:
    struct Batch {
        std::vector<Branch> branches;
        std::vector<std::size_t> numbers; ///< of the requests
        /// The first branch is there once more, for comparison: it leads the batch.
        bool hasReference() const { return branches.size() > numbers.size(); }
    };

    void runBatch()
    {
        const auto began = std::chrono::steady_clock::now();
        m_batchBegin = m_next;
        Batch batch = cutBatch();
        noteKept(batch);
        m_batchSize = batch.numbers.size();
        std::vector<Branch*> all = pointersTo(batch.branches);
        if (!m_options.question.empty())
            m_decoder.feed(all, m_options.question, phase(0.0, 0.1));
        else if (m_options.repeatLastToken)
            m_decoder.repeatLastToken(all);
        if (!m_options.gold.empty())
            scoreGold(batch);
        generate(batch);
        if (m_options.divergence)
            compare(batch);
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        for (const std::size_t number : batch.numbers)
            m_results[number].seconds = seconds;
    }

    Branch cut(std::size_t number) const
    {
        const BranchRequest& request = m_requests[number];
        return m_prompt.branch(request.method, request.budget, m_options.decodeBudget);
    }

    Batch cutBatch()
    {
        Batch batch;
        std::uint64_t bytes = 0;
        const auto add = [&](std::size_t number) {
            batch.branches.push_back(cut(number));
            bytes += 2 * static_cast<std::uint64_t>(batch.branches.back().bytes()); // measures work on copies
        };
        if (m_next > 0 && m_options.divergence)
            add(0);
        do {
            batch.numbers.push_back(m_next);
            add(m_next++);
        } while (m_next < m_requests.size() && bytes < m_options.batchBytes);
        return batch;
    }

    void noteKept(const Batch& batch)
    {
        const auto skip = static_cast<std::size_t>(batch.hasReference());
        for (std::size_t i = 0; i < batch.numbers.size(); ++i) {
            const Branch& branch = batch.branches[i + skip];
            BranchRun& result = m_results[batch.numbers[i]];
            for (int layer = 0; layer < branch.layers(); ++layer) {
                const LayerCache& cache = branch.layer(layer);
                std::vector<std::int64_t> tokens;
                for (int list = 0; list < cache.lists(); ++list)
                    tokens.push_back(cache.tokens(list));
                result.keptPerLayer.push_back(mean(tokens));
            }
            result.keptShare = branch.meanTokens() / static_cast<double>(branch.prompt().promptTokens);
        }
    }

    /// The branches that are measured, without the reference.
    static std::vector<Branch> measured(const Batch& batch)
    {
        return {batch.branches.begin() + static_cast<std::ptrdiff_t>(batch.hasReference()), batch.branches.end()};
    }

    void scoreGold(const Batch& batch)
    {
        std::vector<Branch> copies = measured(batch);
        const std::vector<std::vector<std::int32_t>> tokens(copies.size(), m_options.gold);
        const auto forced = m_decoder.score(pointersTo(copies), tokens, std::nullopt, phase(0.1, 0.3));
        for (std::size_t i = 0; i < forced.size(); ++i)
            m_results[batch.numbers[i]].goldLogProbability
                = std::accumulate(forced[i].logProbs.begin(), forced[i].logProbs.end(), 0.0);
    }

    void generate(Batch& batch)
    {
        // Nothing is measured after this without the divergence, and no reference leads the batch.
        std::vector<Branch> copies = m_options.divergence ? measured(batch) : std::move(batch.branches);
        std::vector<Response> responses(copies.size(), Response(m_options.stops));
        BatchDecoder::GenerateOptions options;
        options.maxTokens = std::min(m_options.maxTokens, room());
        options.eosIds = m_options.eosIds;
        options.progress = phase(0.3, m_options.divergence ? 0.7 : 1.0);
        options.onToken = [&](std::size_t branch, std::int32_t id) {
            return isEnd(id) || responses[branch].add(m_options.bytesOf(id));
        };
        std::vector<BatchDecoder::Generated> generated = m_decoder.generateGreedy(pointersTo(copies), options);
        for (std::size_t i = 0; i < generated.size(); ++i) {
            BranchRun& result = m_results[batch.numbers[i]];
            result.ids = std::move(generated[i].ids);
            result.text = responses[i].text();
            result.meanTokens = generated[i].meanTokens;
            const bool ended = !result.ids.empty() && isEnd(result.ids.back());
            result.end = ended                                 ? ResponseEnd::EndOfSequence
                : responses[i].stopped()                       ? ResponseEnd::Stop
                : std::ssize(result.ids) < m_options.maxTokens ? ResponseEnd::Context
                                                               : ResponseEnd::Length;
        }
    }

    void compare(Batch& batch)
    {
        const std::vector<std::vector<std::int32_t>> tokens(batch.branches.size(), m_results.front().ids);
        const auto forced = m_decoder.score(pointersTo(batch.branches), tokens, 0, phase(0.7, 1.0));
        const auto skip = static_cast<std::size_t>(batch.hasReference());
        for (std::size_t i = 0; i < batch.numbers.size(); ++i)
            if (batch.numbers[i] != 0)
                m_results[batch.numbers[i]].divergence = mean(forced[i + skip].divergence);
    }

    bool isEnd(std::int32_t id) const { return std::ranges::find(m_options.eosIds, id) != m_options.eosIds.end(); }

    /// The last token of a response is not taken up, so there may be one more than there are places.
    std::int64_t room() const
    {
        const std::int64_t taken = m_prompt.layout().promptTokens() + std::ssize(m_options.question);
        return m_config.maxPositions - taken + 1;
    }

    /// Progress of a part [begin, end) of the batch that is being run.
    std::function<bool(double)> phase(double begin, double end) const
    {
        if (!m_options.progress)
            return {};
        return [this, begin, end](double fraction) {
            const double ofBatch = begin + (end - begin) * fraction;
            const double done = static_cast<double>(m_batchBegin) + ofBatch * static_cast<double>(m_batchSize);
            return m_options.progress(done / static_cast<double>(m_requests.size()));
        };
    }

    const ModelConfig& m_config;
    const LivePrompt& m_prompt;
    std::span<const BranchRequest> m_requests;
    const PromptRunOptions& m_options;
    BatchDecoder m_decoder;
    std::vector<BranchRun> m_results;
    std::size_t m_next = 0;
    std::size_t m_batchBegin = 0;
    std::size_t m_batchSize = 0;
};

} // namespace

std::vector<BranchRun> runBranches(std::shared_ptr<const LiveModel> model, const LivePrompt& prompt,
    std::span<const BranchRequest> requests, const PromptRunOptions& options)
{
    const std::int64_t taken = prompt.layout().promptTokens() + std::ssize(options.question);
    if (taken + std::ssize(options.gold) > model->config().maxPositions)
        throw ModelError(
            fmt::format("prompt: found {} tokens and {} of the answer, expected at most {}, the context of the model",
                taken, options.gold.size(), model->config().maxPositions));
    return PromptRun(std::move(model), prompt, requests, options).run();
}

} // namespace kvloupe
