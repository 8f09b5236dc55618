// SPDX-License-Identifier: GPL-3.0-or-later

#include "capture/cuda/device_live_model.h"

#include "capture/cuda/device_tokens.h"
#include "capture/cuda/device_transformer_state.h"
#include "capture/model/prompt_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

namespace kvloupe::cuda {

namespace {

constexpr std::int64_t workBytes = std::int64_t{512} << 20; // of launches that gather what is seen of a prompt
constexpr std::int64_t shownRows = 256; // at once

std::size_t index(std::int64_t value)
{
    return static_cast<std::size_t>(value);
}

std::int64_t dividedUp(std::int64_t value, std::int64_t by)
{
    return (value + by - 1) / by;
}

template <typename T> std::span<const std::byte> bytesOf(const T& value)
{
    return std::as_bytes(std::span(&value, 1));
}

class DevicePromptCache final : public PromptCache {
public:
    explicit DevicePromptCache(AttentionKernels& kernels)
        : m_kernels(kernels)
    {
    }

    /// Keys and values are contiguous.
    void addLayer(const LayerProjection& projection, std::vector<std::int64_t> positions)
    {
        m_keys.push_back(projection.keys);
        m_values.push_back(projection.values);
        m_positions.push_back(std::move(positions));
    }

    std::span<const std::int64_t> positions(int layer) const override { return m_positions.at(index(layer)); }

    std::unique_ptr<TokenStore> gather(const Selection& selection) const override
    {
        return translated([&] {
            const c10::InferenceMode inference;
            const auto tokens = std::ssize(selection.entries);
            const at::Tensor& keys = m_keys.at(index(selection.layer));
            Upload upload;
            const std::vector<int> kept(selection.entries.begin(), selection.entries.end());
            const GatherPlaces places{upload.add(bytesOf(static_cast<int>(tokens))),
                upload.add(bytesOf(std::int64_t{0})), upload.add(std::span<const int>(kept)), static_cast<int>(tokens)};
            const at::Tensor memory = upload.allocate(keys.device());
            upload.copyTo(memory);
            DeviceTokens::Vectors vectors;
            vectors.tokens = tokens;
            vectors.keys = gathered(keys, selection.kvHead, places, memory);
            vectors.values = gathered(m_values.at(index(selection.layer)), selection.kvHead, places, memory);
            vectors.keepsRows = selection.keyRows;
            vectors.shifts.assign(selection.shifts.begin(), selection.shifts.end());
            if (!selection.frequencies.empty()) {
                at::Tensor frequencies = at::empty({std::ssize(selection.frequencies)}, at::kFloat);
                std::ranges::copy(selection.frequencies, frequencies.data_ptr<float>());
                vectors.frequencies = frequencies.to(keys.device());
            }
            if (selection.keyRows)
                vectors.keyRows = turnedRows(vectors.keys.narrow(0, 0, tokens), selection);
            return std::make_unique<DeviceTokens>(std::move(vectors));
        });
    }

private:
    struct GatherPlaces { // offsets in an upload
        std::int64_t counts;
        std::int64_t offsets;
        std::int64_t kept;
        int tokens;
    };

    /// [capacity, head_dim] with the tokens of one head of `vectors` [n, kv_heads, head_dim].
    at::Tensor gathered(
        const at::Tensor& vectors, int kvHead, const GatherPlaces& places, const at::Tensor& memory) const
    {
        constexpr std::int64_t page = TokenStore::pageTokens; // the last one may be full: a place for the next token
        const std::int64_t capacity = (places.tokens / page + 1) * page;
        at::Tensor out = at::empty({capacity, vectors.size(2)}, vectors.options());
        const auto vectorBytes = vectors.size(2) * static_cast<std::int64_t>(vectors.element_size());
        const auto* uploaded = static_cast<const std::byte*>(memory.data_ptr());
        m_kernels.gatherKept(
            {static_cast<const unsigned char*>(vectors.data_ptr()) + kvHead * vectorBytes, vectorBytes,
                vectorBytes * vectors.size(1), static_cast<int>(vectorBytes),
                reinterpret_cast<const int*>(uploaded + places.counts),
                reinterpret_cast<const std::int64_t*>(uploaded + places.offsets),
                reinterpret_cast<const int*>(uploaded + places.kept), static_cast<unsigned char*>(out.data_ptr())},
            1, places.tokens);
        return out;
    }

    static std::vector<float> turnedRows(const at::Tensor& keys, const Selection& selection)
    {
        const at::Tensor host = keys.to(at::kFloat).contiguous().to(at::kCPU);
        std::vector<float> rows(floats(host).begin(), floats(host).end());
        const auto dim = index(keys.size(1));
        const RopeTable turns(selection.frequencies, selection.shifts);
        for (std::int64_t i = 0; i < std::ssize(selection.shifts); ++i) {
            const auto row = std::span(rows).subspan(index(i) * dim, dim);
            applyRope(row, turns.cosines(i), turns.sines(i), row);
        }
        return rows;
    }

    AttentionKernels& m_kernels;
    std::vector<at::Tensor> m_keys; // per layer [n, kv_heads, head_dim]
    std::vector<at::Tensor> m_values;
    std::vector<std::vector<std::int64_t>> m_positions;
};

} // namespace

class DeviceLiveModel final : public LiveModel {
public:
    explicit DeviceLiveModel(std::shared_ptr<const DeviceTransformer> model)
        : m_model(std::move(model))
        , m_state(*m_model->m_state)
    {
    }

    const ModelConfig& config() const override { return m_state.config; }

    void runTasks(std::int64_t tasks, const std::function<void(std::int64_t)>& body) const override
    {
        m_state.runner.enter([&] { m_state.runner.run(tasks, [&](std::int64_t task, int) { body(task); }); });
    }

    std::vector<float> outputValueNorms(int layer, std::span<const float> values, std::int64_t tokens) const override
    {
        return translated([&] {
            const c10::InferenceMode inference;
            const at::Tensor host = at::empty({config().numKvHeads, tokens, config().headDim}, at::kFloat);
            std::ranges::copy(values, host.data_ptr<float>());
            const at::Tensor norms
                = m_state.outputValueNorms(layer, host.to(m_state.device, m_state.type).permute({1, 0, 2}));
            return std::vector<float>(floats(norms).begin(), floats(norms).end());
        });
    }

    Prefill prefill(std::span<const std::int32_t> ids, PromptObserver& observer,
        const std::function<bool(double)>& progress) const override;
    std::vector<float> run(const PassRows& rows, PassAttention& attention) const override;

    void attend(std::span<const ListAttention> lists, PassWorkspace& /*workspace*/) const override
    {
        translated([&] {
            const c10::InferenceMode inference;
            m_state.withElement([&](auto element) { attendLists<decltype(element)>(lists); });
        });
    }

private:
    template <typename Element>
    void showAttention(
        int layer, const LayerProjection& projection, const at::Tensor& context, PromptObserver& observer) const;
    template <typename Element>
    void showRows(const LayerAttention<Element>& attention, const at::Tensor& logSumExp, const at::Tensor& statistics,
        PromptObserver& observer) const;
    template <typename Element> void attendLists(std::span<const ListAttention> lists) const;

    std::shared_ptr<const DeviceTransformer> m_model;
    const DeviceTransformer::State& m_state;
};

LiveModel::Prefill DeviceLiveModel::prefill(
    std::span<const std::int32_t> ids, PromptObserver& observer, const std::function<bool(double)>& progress) const
{
    requirePrompt(config(), ids, std::ssize(ids));
    return translated([&] {
        const c10::InferenceMode inference;
        WorkMeter meter(progress, static_cast<double>(config().numLayers + 1));
        std::vector<std::int64_t> positions(ids.size());
        std::iota(positions.begin(), positions.end(), std::int64_t{0});
        std::vector<RopeTensors> ropes
            = m_state.ropes(positions, std::vector<std::int64_t>(ids.size(), std::ssize(ids)));
        auto cache = std::make_shared<DevicePromptCache>(m_state.kernels);
        at::Tensor hidden = m_state.embed(ids);
        for (int layer = 0; layer < config().numLayers; ++layer) {
            LayerProjection projection = m_state.project(layer, hidden, m_state.ropeOf(layer, ropes));
            projection.keys = projection.keys.contiguous();
            projection.values = projection.values.contiguous();
            cache->addLayer(projection, positions);
            const at::Tensor context = at::empty(
                {hidden.size(0), std::int64_t{config().numHeads} * config().headDim}, projection.queries.options());
            m_state.withElement(
                [&](auto element) { showAttention<decltype(element)>(layer, projection, context, observer); });
            hidden = m_state.afterAttention(layer, hidden, context);
            if (const std::vector<std::int64_t> left = observer.survivors(layer); !left.empty()) {
                const at::Tensor rows = indicesOn(left, m_state.device);
                hidden = hidden.index_select(0, rows);
                for (RopeTensors& rope : ropes)
                    rope.keepRows(rows);
                std::vector<std::int64_t> leftPositions;
                for (const std::int64_t row : left)
                    leftPositions.push_back(positions[index(row)]);
                positions = std::move(leftPositions);
            }
            meter.advance(1.0);
        }
        const at::Tensor last = m_state.logits(hidden.narrow(0, hidden.size(0) - 1, 1)).contiguous().to(at::kCPU);
        meter.finish();
        return Prefill{{floats(last).begin(), floats(last).end()}, cache};
    });
}

/// The attention of a layer of a prompt, and of it to `observer` what that wants to see.
template <typename Element>
void DeviceLiveModel::showAttention(
    int layer, const LayerProjection& projection, const at::Tensor& context, PromptObserver& observer) const
{
    const std::int64_t n = projection.queries.size(0);
    const int heads = config().numHeads;
    const LayerAttention<Element> attention
        = m_state.attentionOf<Element>(layer, projection.queries, projection.keys, projection.values, 0, context);
    const HostVectors vectors(projection, observer.wantsQueriesBeforeRope(layer));
    observer.beginLayer(vectors.view(layer, 0));

    const at::TensorOptions floatsThere = at::TensorOptions(m_state.device).dtype(at::kFloat);
    const at::Tensor statistics = at::empty({4, heads, n}, floatsThere);
    const int blockRows = m_state.kernels.blockRows(config().headDim, std::is_same_v<Element, float>);
    const std::int64_t blocks = dividedUp(n, blockRows);
    const bool sums = observer.wantsColumnSums();
    const at::Tensor columnSums = at::empty({sums ? heads : 0, n}, floatsThere);
    const std::int64_t partBytes = blocks * n * static_cast<std::int64_t>(sizeof(float));
    int most = sums ? static_cast<int>(std::clamp<std::int64_t>(workBytes / partBytes, 1, heads)) : heads;
    for (int head = 0, count = 0; head < heads; head += count) {
        count = std::min(most, heads - head);
        const at::Tensor parts = asManyAsFit(count, [&](int some) {
            return at::empty({sums ? some : 0, blocks, n}, floatsThere);
        });
        most = std::min(most, count);
        const auto of = [&](int which) { return statistics.data_ptr<float>() + (which * heads + head) * n; };
        AttentionOutput<Element> output;
        output.context = attention.context;
        output.contextHeadStride = attention.contextHeadStride;
        output.contextRowStride = attention.contextRowStride;
        output.logSumExp = of(0);
        output.entropy = of(1);
        output.sinkMass = of(2);
        output.maximum = of(3);
        output.columnSumParts = sums ? parts.data_ptr<float>() : nullptr;
        output.headBegin = head;
        output.blocks = static_cast<int>(blocks);
        m_state.kernels.record(attention.headDim, attention.input, output, count);
        if (sums) {
            m_state.kernels.reduceColumnSums({parts.data_ptr<float>(), columnSums.data_ptr<float>() + head * n,
                                                 static_cast<int>(n), 0, attention.input.window, blockRows},
                count);
        }
    }
    if (sums) {
        const at::Tensor host = columnSums.to(at::kCPU);
        observer.columnSums(layer, floats(host));
    }
    showRows(attention, statistics.select(0, 0), statistics.to(at::kCPU), observer);
    observer.endLayer(layer);
}

/// The rows that are wanted, computed again from queries, keys and their normalisers; `statistics`: [4, heads, n] on
/// the host.
template <typename Element>
void DeviceLiveModel::showRows(const LayerAttention<Element>& attention, const at::Tensor& logSumExp,
    const at::Tensor& statistics, PromptObserver& observer) const
{
    const std::int64_t n = attention.input.rows;
    const std::span<const float> numbers = floats(statistics);
    for (std::int64_t begin = std::max<std::int64_t>(0, observer.firstRowWanted(n)); begin < n; begin += shownRows) {
        const std::int64_t rows = std::min(shownRows, n - begin);
        const std::int64_t columns = dividedUp(begin + rows, 16) * 16;
        const std::int64_t headBytes = rows * columns * static_cast<std::int64_t>(sizeof(float));
        for (int head = 0, count = 0; head < attention.heads; head += count) {
            count = static_cast<int>(std::clamp<std::int64_t>(workBytes / headBytes, 1, attention.heads - head));
            const at::Tensor cells = asManyAsFit(count, [&](int some) {
                return at::empty({some, rows, columns}, logSumExp.options());
            });
            m_state.kernels.cells(attention.headDim, attention.input,
                {logSumExp.data_ptr<float>(), head, static_cast<int>(begin), static_cast<int>(rows), 0,
                    static_cast<int>(columns), cells.data_ptr<float>(), columns},
                count);
            const at::Tensor host = cells.to(at::kCPU);
            runTasks(count, [&](std::int64_t task) {
                std::vector<RowStatistics> ofRows;
                for (std::int64_t row = begin; row < begin + rows; ++row) {
                    const auto of
                        = [&](int which) { return numbers[index((which * attention.heads + head + task) * n + row)]; };
                    ofRows.push_back({of(0), of(1), of(2), of(3)});
                }
                observer.block(attention.layer, head + static_cast<int>(task), begin, rows,
                    floats(host).subspan(index(task * rows * columns), index(rows * columns)), columns, ofRows);
            });
        }
    }
}

std::vector<float> DeviceLiveModel::run(const PassRows& rows, PassAttention& attention) const
{
    const std::int64_t n = std::ssize(rows.ids);
    requirePrompt(config(), rows.ids, n == 0 ? 0 : *std::ranges::max_element(rows.positions) + 1);
    std::vector<float> logits;
    m_state.runner.enter([&] {
        translated([&] {
            const c10::InferenceMode inference;
            WorkMeter meter({}, 1.0);
            PassWorkspace workspace(m_state.runner, meter, attention.scratchFloats(n));
            const std::vector<RopeTensors> ropes = m_state.ropes(rows.positions, rows.textTokens);
            const auto d = std::int64_t{config().headDim};
            const std::int64_t width = config().numHeads * d;
            const at::Tensor context = at::empty({n, width}, at::kFloat);
            at::Tensor hidden = m_state.embed(rows.ids);
            for (int layer = 0; layer < config().numLayers; ++layer) {
                const LayerProjection projection = m_state.project(layer, hidden, m_state.ropeOf(layer, ropes));
                const at::Tensor host
                    = byHead(at::cat({projection.queries, projection.keys, projection.values}, 1)); // one copy
                const std::span<const float> vectors = floats(host);
                const auto keys = index(config().numKvHeads * n * d);
                LayerRows of;
                of.layer = layer;
                of.rows = n;
                of.positions = rows.positions;
                of.queries = vectors.first(index(n * width));
                of.keys = vectors.subspan(index(n * width), keys);
                of.values = vectors.subspan(index(n * width) + keys, keys);
                of.context = {context.data_ptr<float>(), index(n * width)};
                attention.attend(of, workspace);
                hidden = m_state.afterAttention(layer, hidden, context.to(m_state.device, m_state.type));
            }
            const at::Tensor host = m_state.logits(hidden).contiguous().to(at::kCPU);
            logits.assign(floats(host).begin(), floats(host).end());
        });
    });
    return logits;
}

/// What the lists went through since the last step, then their attention: one copy there, three launches, one copy
/// back.
template <typename Element> void DeviceLiveModel::attendLists(std::span<const ListAttention> lists) const
{
    using Input = ListsInput<Element>;
    const std::int64_t d = config().headDim;
    Upload upload;
    std::vector<DeviceTokens*> tokens;
    std::vector<DeviceTokens::Noted> noted;
    std::vector<ListPart> parts;
    struct Places {
        std::int64_t queries = 0; // offsets in the upload
        std::int64_t masked = 0;
        std::int64_t context = 0; // offsets in the results, floats
        std::int64_t weights = 0;
        int partBegin = 0;
    };
    std::vector<Places> places;
    std::int64_t resultFloats = 0;
    int largestHeads = 0;
    for (const ListAttention& list : lists) {
        const int heads = list.cache->headsPerList();
        tokens.push_back(&dynamic_cast<DeviceTokens&>(list.cache->store(list.list)));
        noted.push_back(tokens.back()->takeEdits(upload));
        const std::int64_t slots = tokens.back()->slots();
        Places& of = places.emplace_back();
        of.queries = upload.add(std::span<const float>(
            list.scratch->queries.span().subspan(index(list.list * heads * d), index(heads * d))));
        std::vector<std::uint32_t> masked(index(dividedUp(slots, warpLanes)), 0);
        if (slots % warpLanes != 0)
            masked.back() = ~0U << (slots % warpLanes);
        for (const std::int32_t slot : list.cache->maskedSlots(list.list))
            masked[index(slot / warpLanes)] |= 1U << (slot % warpLanes);
        of.masked = upload.add(std::span<const std::uint32_t>(masked));
        of.context = resultFloats;
        resultFloats += heads * d;
        of.weights = resultFloats;
        if (list.cache->needsAttention())
            resultFloats += heads * slots;
        of.partBegin = static_cast<int>(parts.size());
        for (int head = 0; head < heads; head += Input::partHeads)
            for (std::int64_t slot = 0; slot < slots; slot += Input::partSlots)
                parts.push_back({static_cast<int>(tokens.size()) - 1, static_cast<int>(slot), head});
        largestHeads = std::max(largestHeads, heads);
    }
    const std::int64_t partsAt = upload.add(std::span<const ListPart>(parts));
    const std::int64_t listsAt
        = upload.reserve(std::ssize(lists) * static_cast<std::int64_t>(sizeof(TokenList<Element>)));
    const std::int64_t editsAt
        = upload.reserve(std::ssize(lists) * static_cast<std::int64_t>(sizeof(TokenEdits<Element>)));

    const at::Tensor memory = upload.allocate(m_state.device);
    const auto* base = static_cast<const std::byte*>(memory.data_ptr());
    const at::TensorOptions floatsThere = at::TensorOptions(m_state.device).dtype(at::kFloat);
    const at::Tensor results = at::empty({resultFloats}, floatsThere);
    int edited = 0;
    for (std::size_t i = 0; i < lists.size(); ++i) {
        const bool weights = lists[i].cache->needsAttention();
        *upload.at<TokenList<Element>>(listsAt + static_cast<std::int64_t>(i * sizeof(TokenList<Element>)))
            = {static_cast<const Element*>(tokens[i]->keys().data_ptr()),
                static_cast<const Element*>(tokens[i]->values().data_ptr()),
                reinterpret_cast<const std::uint32_t*>(base + places[i].masked),
                reinterpret_cast<const float*>(base + places[i].queries), results.data_ptr<float>() + places[i].context,
                weights ? results.data_ptr<float>() + places[i].weights : nullptr, static_cast<int>(tokens[i]->slots()),
                lists[i].cache->headsPerList(), places[i].partBegin};
        if (noted[i].count == 0)
            continue;
        *upload.at<TokenEdits<Element>>(editsAt + static_cast<std::int64_t>(edited++ * sizeof(TokenEdits<Element>)))
            = tokens[i]->edits<Element>(noted[i], base);
    }
    upload.copyTo(memory);

    const auto partCount = std::ssize(parts) * Input::partHeads;
    const at::Tensor partNumbers = at::empty({partCount * (d + 2)}, floatsThere);
    float* const partMaximum = partNumbers.data_ptr<float>();
    m_state.kernels.editTokens(config().headDim, reinterpret_cast<const TokenEdits<Element>*>(base + editsAt), edited);
    m_state.kernels.attendLists(config().headDim,
        Input{reinterpret_cast<const TokenList<Element>*>(base + listsAt),
            reinterpret_cast<const ListPart*>(base + partsAt), partMaximum, partMaximum + partCount,
            partMaximum + 2 * partCount, static_cast<int>(lists.size()), static_cast<int>(parts.size()), largestHeads,
            static_cast<float>(config().attentionScale)});
    const at::Tensor host = results.to(at::kCPU);
    const std::span<const float> numbers = floats(host);
    for (std::size_t i = 0; i < lists.size(); ++i) {
        const std::int64_t heads = lists[i].cache->headsPerList();
        std::ranges::copy(numbers.subspan(index(places[i].context), index(heads * d)), lists[i].context);
        if (!lists[i].cache->needsAttention())
            continue;
        const std::int64_t weights = heads * tokens[i]->slots();
        std::ranges::copy(numbers.subspan(index(places[i].weights), index(weights)),
            lists[i].scratch->attentionOf(lists[i].list, weights).begin());
    }
}

std::shared_ptr<const LiveModel> onDevice(std::shared_ptr<const DeviceTransformer> model)
{
    return std::make_shared<const DeviceLiveModel>(std::move(model));
}

} // namespace kvloupe::cuda
