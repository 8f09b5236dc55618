// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cache/cpu_live_model.h"

#include "capture/cache/decode_kernels.h"
#include "capture/cache/token_pages.h"
#include "capture/model/causal_attention.h"
#include "capture/model/rope.h"
#include "capture/model/transformer.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace kvloupe {

namespace {

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

class CpuPromptCache final : public PromptCache {
public:
    explicit CpuPromptCache(KvCache cache)
        : m_cache(std::move(cache))
    {
    }

    std::span<const std::int64_t> positions(int layer) const override { return m_cache.positions(layer, 0); }

    std::unique_ptr<TokenStore> gather(const Selection& selection) const override
    {
        const auto dim = index(m_cache.headDim());
        const std::span<const float> keys = m_cache.keys(selection.layer, selection.kvHead);
        const std::span<const float> values = m_cache.values(selection.layer, selection.kvHead);
        const RopeTable turns(selection.frequencies, selection.shifts);
        std::vector<float> turned(dim);
        auto pages = std::make_unique<TokenPages>(m_cache.headDim(), selection.keyRows);
        for (std::size_t i = 0; i < selection.entries.size(); ++i) {
            const std::size_t begin = index(selection.entries[i]) * dim;
            std::span<const float> key = keys.subspan(begin, dim);
            const auto slot = static_cast<std::int64_t>(i);
            if (!selection.shifts.empty() && selection.shifts[i] != 0) {
                applyRope(key, turns.cosines(slot), turns.sines(slot), turned);
                key = turned;
            }
            pages->put(slot, key, values.subspan(begin, dim));
        }
        return pages;
    }

private:
    KvCache m_cache;
};

/// Causal attention whose observer may let rows leave.
class ObservedAttention final : public PassAttention {
public:
    ObservedAttention(const ModelConfig& config, KvCache& cache, PromptObserver& observer)
        : m_observer(observer)
        , m_causal(config, cache, PrefillOptions().blockRows, &observer)
    {
    }

    std::int64_t scratchFloats(std::int64_t rows) const override { return m_causal.scratchFloats(rows); }
    double work(std::int64_t rows) const override { return m_causal.work(rows); }
    bool wantsQueriesBeforeRope(int layer) const override { return m_causal.wantsQueriesBeforeRope(layer); }
    void attend(const LayerRows& rows, PassWorkspace& workspace) override { m_causal.attend(rows, workspace); }
    std::vector<std::int64_t> survivors(int layer) override { return m_observer.survivors(layer); }

private:
    PromptObserver& m_observer;
    CausalAttention m_causal;
};

class CpuLiveModel final : public LiveModel {
public:
    explicit CpuLiveModel(const Transformer& model)
        : m_model(model)
    {
    }

    const ModelConfig& config() const override { return m_model.config(); }
    void runTasks(std::int64_t tasks, const std::function<void(std::int64_t)>& body) const override
    {
        m_model.runTasks(tasks, body);
    }
    std::vector<float> outputValueNorms(int layer, std::span<const float> values, std::int64_t tokens) const override
    {
        return m_model.outputValueNorms(layer, values, tokens);
    }

    Prefill prefill(std::span<const std::int32_t> ids, PromptObserver& observer,
        const std::function<bool(double)>& progress) const override
    {
        KvCache cache = m_model.makeCache(std::ssize(ids));
        ObservedAttention attention(config(), cache, observer);
        std::vector<std::int64_t> positions(ids.size());
        std::iota(positions.begin(), positions.end(), std::int64_t{0});
        const std::vector<std::int64_t> textTokens(ids.size(), std::ssize(ids));
        std::vector<float> logits
            = m_model.run({ids, positions, textTokens}, attention, Transformer::LogitRows::Last, progress);
        return {std::move(logits), cpuPromptCache(std::move(cache))};
    }

    std::vector<float> run(const PassRows& rows, PassAttention& attention) const override
    {
        return m_model.run(rows, attention, Transformer::LogitRows::All);
    }

    void attend(std::span<const ListAttention> lists, PassWorkspace& workspace) const override
    {
        workspace.runner().run(std::ssize(lists), [&](std::int64_t task, int) { attendOnCpu(lists[index(task)]); });
    }

private:
    const Transformer& m_model;
};

} // namespace

std::unique_ptr<PromptCache> cpuPromptCache(KvCache cache)
{
    return std::make_unique<CpuPromptCache>(std::move(cache));
}

void attendOnCpu(const ListAttention& of)
{
    const LayerCache& cache = *of.cache;
    const auto& pages = dynamic_cast<const TokenPages&>(cache.store(of.list));
    const int rows = cache.headsPerList();
    const int dim = pages.headDim();
    const std::int64_t stride = pages.slots();
    const std::span<float> weights = of.scratch->attentionOf(of.list, rows * stride);
    const float* queries = of.scratch->queries.data() + std::int64_t{of.list} * rows * dim;
    const std::vector<std::int32_t> masked = cache.maskedSlots(of.list);
    decode_kernels::keyProducts(queries, rows, dim, pages.pages(), weights.data(), stride);
    for (int r = 0; r < rows; ++r) {
        float* const row = weights.data() + r * stride;
        for (const std::int32_t slot : masked)
            row[slot] = -std::numeric_limits<float>::infinity();
        decode_kernels::softmax(row, stride, static_cast<float>(cache.shape().softmaxScale));
    }
    decode_kernels::weightedValues(weights.data(), stride, rows, dim, pages.pages(), of.context);
}

std::shared_ptr<const LiveModel> onCpu(const Transformer& model)
{
    return std::make_shared<const CpuLiveModel>(model);
}

} // namespace kvloupe
