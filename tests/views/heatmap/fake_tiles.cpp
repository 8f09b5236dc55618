// SPDX-License-Identifier: GPL-3.0-or-later

#include "tests/views/heatmap/fake_tiles.h"

#include "core/recording/recording.h"

#include <QMetaObject>

#include <algorithm>
#include <utility>

namespace kvloupe {

FakeTiles::FakeTiles(std::int64_t tokens, Cell cell)
    : m_tokens(tokens)
    , m_cell(std::move(cell))
{
}

float FakeTiles::pooled(int level, Pooling pooling, std::int64_t row, std::int64_t column) const
{
    const std::int64_t factor = std::int64_t{1} << level;
    float largest = 0.0F;
    double sum = 0.0;
    int count = 0;
    for (auto query = row * factor; query < std::min((row + 1) * factor, m_tokens); ++query) {
        for (auto key = column * factor; key < std::min((column + 1) * factor, query + 1); ++key) {
            const float value = m_cell(query, key);
            largest = std::max(largest, value);
            sum += static_cast<double>(value);
            ++count;
        }
    }
    if (pooling == Pooling::Max || count == 0)
        return largest;
    return static_cast<float>(sum / count);
}

void FakeTiles::submit(QObject* context, Stale stale, std::function<void()> answer)
{
    if (hold) {
        m_held.push_back({context, std::move(stale), std::move(answer)});
        return;
    }
    QMetaObject::invokeMethod(
        context,
        [this, stale = std::move(stale), answer = std::move(answer)] {
            if (stale && stale())
                ++staleDropped;
            else
                answer();
        },
        Qt::QueuedConnection);
}

void FakeTiles::deliverHeld()
{
    hold = false;
    while (!m_held.empty()) {
        Held held = std::move(m_held.front());
        m_held.pop_front();
        submit(held.context, std::move(held.stale), std::move(held.answer));
    }
}

void FakeTiles::requestTile(
    QObject* context, Priority /*priority*/, const TileKey& key, Stale stale, Deliver<std::vector<Half>> deliver)
{
    submit(context, std::move(stale), [this, key, deliver = std::move(deliver)] {
        reads.push_back(key);
        TileReply<std::vector<Half>> reply;
        if (damaged && damaged(key)) {
            reply.error = QStringLiteral("test.h5: /samples/000000/layers/00/attention: chunk is damaged");
        } else {
            reply.value.resize(static_cast<std::size_t>(tileSize * tileSize));
            for (std::int64_t row = 0; row < tileSize; ++row) {
                for (std::int64_t column = 0; column < tileSize; ++column)
                    reply.value[static_cast<std::size_t>(row * tileSize + column)] = floatToHalf(
                        pooled(key.level, key.pooling, key.row * tileSize + row, key.column * tileSize + column));
            }
        }
        deliver(std::move(reply));
    });
}

void FakeTiles::requestCell(QObject* context, const CellAddress& address, Stale stale, Deliver<CellFacts> deliver)
{
    submit(context, std::move(stale), [this, address, deliver = std::move(deliver)] {
        CellFacts facts;
        facts.value = m_cell(address.query, address.key);
        facts.visible = address.query + 1;
        facts.rank = 1;
        for (std::int64_t key = 0; key <= address.query; ++key)
            facts.rank += m_cell(address.query, key) > facts.value ? 1 : 0;
        if (address.level > 0) {
            facts.block.emplace();
            const std::int64_t factor = std::int64_t{1} << address.level;
            const std::int64_t row = address.query / factor * factor;
            const std::int64_t column = address.key / factor * factor;
            for (auto query = row; query < std::min(row + factor, address.tokens); ++query) {
                for (auto key = column; key < std::min(column + factor, query + 1); ++key) {
                    const float value = m_cell(query, key);
                    if (facts.block->cells++ == 0 || value > facts.block->maximum) {
                        facts.block->maximum = value;
                        facts.block->maximumQuery = query;
                        facts.block->maximumKey = key;
                    }
                }
            }
        }
        deliver({.value = facts, .error = {}});
    });
}

void FakeTiles::requestOverview(QObject* context, Priority /*priority*/, int /*sample*/, int layer, Pooling pooling,
    Stale stale, Deliver<std::vector<Half>> deliver)
{
    ++overviewRequests;
    submit(context, std::move(stale), [this, layer, pooling, deliver = std::move(deliver)] {
        TileReply<std::vector<Half>> reply;
        if (damaged && damaged({.layer = layer})) {
            reply.error = QStringLiteral("test.h5: overview of layer %1 is damaged").arg(layer);
        } else {
            const std::int64_t edge = overviewEdge(m_tokens);
            const std::int64_t factor = overviewFactor(m_tokens);
            int level = 0;
            while ((std::int64_t{1} << level) < factor)
                ++level;
            for (int head = 0; head < heads; ++head) {
                for (std::int64_t row = 0; row < edge; ++row) {
                    for (std::int64_t column = 0; column < edge; ++column)
                        reply.value.push_back(floatToHalf(pooled(level, pooling, row, column)));
                }
            }
        }
        deliver(std::move(reply));
    });
}

std::shared_ptr<SampleModel> makeSample(std::int64_t tokens, int layers, int heads, std::int64_t generated)
{
    auto sample = std::make_shared<SampleModel>();
    sample->model.numLayers = layers;
    sample->model.numHeads = heads;
    sample->model.numKvHeads = 1;
    sample->info.promptTokens = tokens;
    sample->info.totalTokens = tokens + generated;
    for (std::int64_t token = 0; token < tokens + generated; ++token)
        sample->text.pieces.push_back(" w" + std::to_string(token));
    sample->layout = PromptLayout(tokens, tokens + generated, {});
    for (int layer = 0; layer < layers; ++layer) {
        LayerInfo info;
        info.layer = layer;
        info.hasQueriesKeys = true;
        sample->layers.push_back(info);
    }
    return sample;
}

} // namespace kvloupe
