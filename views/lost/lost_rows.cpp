// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/lost/lost_rows.h"

#include "views/heatmap/tile_source.h"
#include "views/methods/replay_model.h"
#include "views/session/open_recording.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace kvloupe {

namespace {

constexpr std::chrono::milliseconds rest{80};
constexpr std::int64_t rowsAtOnce = 256;

} // namespace

LostRows::LostRows(const ViewModels& models, QObject* parent)
    : QObject(parent)
    , m_models(models)
    , m_generation(std::make_shared<std::atomic<std::uint64_t>>(0))
{
    m_rest.setSingleShot(true);
    m_rest.setInterval(rest);
    connect(&m_rest, &QTimer::timeout, this, &LostRows::begin);
    connect(m_models.recording, &OpenRecording::sampleChanged, this, &LostRows::restart);
    connect(m_models.replay, &ReplayModel::changed, this, &LostRows::restart);
    connect(m_models.methods, &MethodModel::currentChanged, this, &LostRows::restart);
    connect(m_models.selection, &Selection::headChanged, this, &LostRows::restart);
}

LostRows::~LostRows()
{
    ++*m_generation;
}

void LostRows::setWanted(bool wanted)
{
    m_isWanted = wanted;
    restart();
}

void LostRows::restart()
{
    ++*m_generation;
    m_isReading = false;
    if (m_isWanted && m_models.recording->sample()) {
        m_rest.start(); // what is on show stays until then
        return;
    }
    m_rest.stop();
    m_shares.clear();
    emit changed();
}

void LostRows::begin()
{
    m_shares.clear();
    const SampleModelPtr& sample = m_models.recording->sample();
    const int row = m_models.methods->current();
    m_layer = m_models.selection->layer();
    m_head = m_models.selection->head();
    const LayerInfo* layer = sample ? sample->findLayer(m_layer) : nullptr;
    const auto kept = row < 0 || !layer ? std::nullopt : m_models.replay->keptPositions(row, m_layer, m_head);
    if (!kept || m_models.replay->sample() != sample || finestLevel(*layer, m_head) != 0) {
        emit changed();
        return;
    }
    const std::int64_t prompt = sample->info.promptTokens;
    auto dropped = std::make_shared<std::vector<bool>>(static_cast<std::size_t>(prompt), true);
    for (const std::int32_t position : *kept) {
        if (position >= 0 && position < prompt)
            (*dropped)[static_cast<std::size_t>(position)] = false;
    }
    m_dropped = std::move(dropped);
    const bool all = recordedExtent(sample->info, sample->layers) == MapExtent::AllTokens;
    m_shares.assign(
        static_cast<std::size_t>(all ? sample->info.totalTokens : prompt), std::numeric_limits<float>::quiet_NaN());
    readNext(0);
}

void LostRows::readNext(std::int64_t query)
{
    struct Reply {
        std::vector<float> shares;
        QString problem;
    };
    const TokenRange queries{query, std::min(query + rowsAtOnce, static_cast<std::int64_t>(m_shares.size()))};
    m_isReading = queries.size() > 0;
    emit changed();
    if (!m_isReading)
        return;
    const std::uint64_t generation = m_generation->load();
    m_models.recording->source()->run<Reply>(
        this, RecordingSource::Priority::Prefetch,
        [sample = m_models.recording->sample()->sample, layer = m_layer, head = m_head, queries, dropped = m_dropped](
            RecordingAccess& access) {
            Reply reply;
            try {
                const auto prompt = static_cast<std::int64_t>(dropped->size());
                const TokenRange keys{0, std::min(queries.end, prompt)};
                const std::vector<float> cells = access.tiles.block(sample, layer, head, queries, keys);
                for (std::int64_t row = 0; !cells.empty() && row < queries.size(); ++row) {
                    double lost = 0.0;
                    for (std::int64_t key = 0; key < keys.size(); ++key) {
                        if ((*dropped)[static_cast<std::size_t>(key)])
                            lost += static_cast<double>(cells[static_cast<std::size_t>(row * keys.size() + key)]);
                    }
                    reply.shares.push_back(static_cast<float>(std::clamp(lost, 0.0, 1.0)));
                }
            } catch (const std::exception& error) {
                reply.problem = QString::fromUtf8(error.what());
            }
            return reply;
        },
        [this, generation, queries](const Reply& reply) {
            if (generation != *m_generation)
                return;
            if (!reply.problem.isEmpty()) {
                m_isReading = false;
                emit failed(reply.problem);
                return;
            }
            std::ranges::copy(reply.shares, m_shares.begin() + queries.begin);
            readNext(queries.end);
        },
        [generation, current = m_generation] { return generation != *current; });
}

} // namespace kvloupe
