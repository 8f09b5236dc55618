// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/metrics/row_pass.h"

#include "core/attention/attention_rows.h"

#include <fmt/format.h>
#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <map>
#include <vector>

namespace kvloupe {

namespace {

constexpr std::int64_t blockRows = 128;
constexpr std::int64_t batchBytes = std::int64_t{128} << 20; // of queries and keys that are held at a time

std::int64_t roundedUp(std::int64_t keys)
{
    return (keys + PackedKeys::panelKeys - 1) / PackedKeys::panelKeys * PackedKeys::panelKeys;
}

struct Scratch {
    std::vector<float> cells;
    std::vector<RowStatistics> statistics;
};

struct HeadVectors {
    int head = 0;
    const PackedKeys* keys = nullptr;
    std::vector<float> queries; ///< [queryEnd - queryBegin, headDim]
};

} // namespace

std::int64_t RowBlock::firstVisible(std::int64_t row) const
{
    return window > 0 ? std::max<std::int64_t>(0, queryBegin + row - window + 1) : 0;
}

std::span<const float> RowBlock::visible(std::int64_t row) const
{
    const std::int64_t first = firstVisible(row);
    return {cells + row * stride + first, static_cast<std::size_t>(queryBegin + row + 1 - first)};
}

void forEachRowBlock(const Recording& recording, int sample, int layer, std::span<const int> heads,
    std::int64_t queryBegin, std::int64_t queryEnd, const std::function<void(const RowBlock&)>& visit)
{
    const LayerInfo& info = recording.layer(sample, layer);
    if (!info.hasQueriesKeys)
        throw RecordingError(
            fmt::format("{}: sample {}, layer {}: rows of attention are needed, found no queries and keys; record "
                        "with --record qk",
                recording.path().string(), sample, layer));
    const int dim = recording.model().headDim;
    const int group = recording.model().groupSize();
    const AttentionShape shape{static_cast<float>(recording.sample(sample).softmaxScale), info.window};
    const std::int64_t perHead = (queryEnd - queryBegin) * dim;
    const auto headsPerBatch = std::max<std::int64_t>(
        1, batchBytes / static_cast<std::int64_t>(sizeof(float)) / std::max<std::int64_t>(1, perHead + queryEnd * dim));
    const std::int64_t blocks = (queryEnd - queryBegin + blockRows - 1) / blockRows;
    tbb::enumerable_thread_specific<Scratch> scratches;

    for (std::size_t first = 0; first < heads.size();) {
        // A recording is read by one thread; what it read is then worked on by all.
        std::map<int, PackedKeys> keys;
        std::vector<HeadVectors> batch;
        for (; first < heads.size() && std::ssize(batch) < headsPerBatch; ++first) {
            HeadVectors vectors;
            vectors.head = heads[first];
            const int kvHead = vectors.head / group;
            auto found = keys.find(kvHead);
            if (found == keys.end()) {
                std::vector<float> plain(static_cast<std::size_t>(queryEnd * dim));
                recording.readVectors(sample, layer, VectorArray::Keys, kvHead, 0, queryEnd, plain);
                found = keys.emplace(kvHead, PackedKeys(plain, dim)).first;
            }
            vectors.keys = &found->second;
            vectors.queries.resize(static_cast<std::size_t>(perHead));
            recording.readVectors(
                sample, layer, VectorArray::Queries, vectors.head, queryBegin, queryEnd, vectors.queries);
            batch.push_back(std::move(vectors));
        }
        tbb::parallel_for(std::int64_t{0}, std::ssize(batch) * blocks, [&](std::int64_t work) {
            const HeadVectors& vectors = batch[static_cast<std::size_t>(work / blocks)];
            RowBlock block;
            block.head = vectors.head;
            block.queryBegin = queryBegin + work % blocks * blockRows;
            block.rows = std::min(blockRows, queryEnd - block.queryBegin);
            block.stride = roundedUp(block.queryBegin + block.rows);
            block.window = info.window;
            Scratch& scratch = scratches.local();
            scratch.cells.resize(std::max(scratch.cells.size(), static_cast<std::size_t>(block.rows * block.stride)));
            scratch.statistics.resize(static_cast<std::size_t>(blockRows));
            attention_rows::softmaxRows(std::span(vectors.queries)
                                            .subspan(static_cast<std::size_t>((block.queryBegin - queryBegin) * dim),
                                                static_cast<std::size_t>(block.rows * dim)),
                *vectors.keys, block.queryBegin, block.rows, shape, scratch.cells, block.stride, scratch.statistics);
            block.cells = scratch.cells.data();
            block.statistics = std::span(scratch.statistics).first(static_cast<std::size_t>(block.rows));
            visit(block);
        });
    }
}

} // namespace kvloupe
