// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/training/adapter_evaluation.h"

#include "capture/cache/batch_decoder.h"
#include "capture/cache/cpu_live_model.h"
#include "capture/cache/live_prompt.h"
#include "capture/model/model_error.h"
#include "capture/model/transformer.h"
#include "capture/tasks/task_suite.h"
#include "capture/tokenizer/tokenizer.h"
#include "capture/training/training_mixture.h"
#include "core/methods/method_registry.h"

#include <algorithm>
#include <span>

namespace kvloupe {

namespace {

constexpr std::size_t batchItems = 20;

/// Responses to a few items of one task, decoded together.
class ResponseBatch {
public:
    ResponseBatch(const Transformer& model, const Tokenizer& tokenizer, bool thinks)
        : m_model(model)
        , m_tokenizer(tokenizer)
        , m_thinks(thinks)
    {
    }

    void judge(const Task& task, std::span<const TaskItem> items, TaskAccuracy& accuracy) const
    {
        std::vector<Branch> branches;
        BatchDecoder::GenerateOptions options;
        options.eosIds = m_model.config().eosIds;
        for (const TaskItem& item : items) {
            const auto ids = m_tokenizer.encode(item.text, {.addTemplate = true}).ids;
            const auto tokens = std::ssize(ids);
            const LivePrompt prompt(onCpu(m_model), ids, PromptLayout(tokens), {parseMethod("full")});
            branches.push_back(prompt.branch(0, Budget::keep(1.0)));
            const std::int64_t wanted = m_thinks ? item.maxThinkingTokens : item.maxNewTokens;
            options.maxTokensOf.push_back(std::min(wanted, m_model.config().maxPositions - tokens));
        }
        const auto responses = BatchDecoder(onCpu(m_model)).generateGreedy(pointersTo(branches), options);
        for (std::size_t i = 0; i < items.size(); ++i) {
            std::vector<std::int32_t> ids = responses[i].ids;
            accuracy.meanTokens += static_cast<double>(ids.size());
            if (!ids.empty() && std::ranges::find(options.eosIds, ids.back()) != options.eosIds.end())
                ids.pop_back();
            else
                ++accuracy.unfinished;
            ++accuracy.samples;
            accuracy.correct += task.judge(items[i], m_tokenizer.decode(ids)).correct ? 1 : 0;
        }
    }

private:
    const Transformer& m_model;
    const Tokenizer& m_tokenizer;
    bool m_thinks;
};

} // namespace

std::vector<TaskAccuracy> measureAccuracy(const Transformer& model, const Tokenizer& tokenizer, bool thinks,
    std::int64_t samples, const std::function<bool(double)>& progress)
{
    const ResponseBatch responses(model, tokenizer, thinks);
    const std::span<const MixturePart> parts = TrainingMixture::parts();
    std::vector<TaskAccuracy> result;
    for (const MixturePart& part : parts) {
        const Task& task = findTask(findSuite("fundamental"), part.task);
        TaskOptions options;
        options.samples = std::min(samples, TrainingMixture::heldOutItems);
        options.level = part.level;
        const std::vector<TaskItem> items = task.items(options);
        TaskAccuracy& accuracy = result.emplace_back(TaskAccuracy{.task = task.name(), .level = part.level});
        accuracy.shots = items.front().shots;
        for (std::size_t begin = 0; begin < items.size(); begin += batchItems) {
            responses.judge(
                task, std::span(items).subspan(begin, std::min(batchItems, items.size() - begin)), accuracy);
            const double done = static_cast<double>(result.size() - 1)
                + static_cast<double>(std::min(begin + batchItems, items.size())) / static_cast<double>(items.size());
            if (progress && !progress(done / static_cast<double>(parts.size())))
                throw Cancelled("the measurement was stopped; the adapter is complete");
        }
        accuracy.meanTokens /= static_cast<double>(accuracy.samples);
    }
    return result;
}

} // namespace kvloupe
