// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/lost/lost_model.h"

#include "views/methods/method_model.h"
#include "views/session/open_recording.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace kvloupe {

LostModel::LostModel(const ViewModels& models, QObject* parent)
    : QObject(parent)
    , m_models(models)
    , m_generation(std::make_shared<std::atomic<std::uint64_t>>(0))
{
    connect(m_models.recording, &OpenRecording::sampleChanged, this, &LostModel::restart);
    connect(m_models.replay, &ReplayModel::chosen, this, &LostModel::changed);
    connect(m_models.methods, &MethodModel::currentChanged, this, &LostModel::changed);
    connect(m_models.methods, &MethodModel::methodsChanged, this, [this] {
        m_lost.clear();
        emit changed();
    });
}

LostModel::~LostModel()
{
    ++*m_generation;
}

void LostModel::setInterested(const QObject* who, bool interested)
{
    const auto known = std::ranges::find(m_interested, who);
    if (!interested && known != m_interested.end())
        m_interested.erase(known);
    else if (interested && known == m_interested.end())
        m_interested.push_back(who);
    readNext();
}

void LostModel::restart()
{
    ++*m_generation;
    m_sample = m_models.recording->sample();
    m_rows.clear();
    m_lost.clear();
    m_problem.clear();
    m_isReading = false;
    emit changed();
    readNext();
}

void LostModel::readNext()
{
    RecordingSource* source = m_models.recording->source();
    if (m_isReading || m_interested.empty() || !m_sample || !source || !m_problem.isEmpty())
        return;
    const auto next = std::ranges::find_if(
        m_sample->layers, [this](const LayerInfo& layer) { return !m_rows.contains(layer.layer); });
    if (next == m_sample->layers.end())
        return;
    struct Reply {
        std::shared_ptr<const MeanRows> rows;
        QString problem;
    };
    m_isReading = true;
    const std::uint64_t generation = m_generation->load();
    source->run<Reply>(
        this, RecordingSource::Priority::Background,
        [sample = m_sample->sample, layer = next->layer](RecordingAccess& access) {
            Reply reply;
            try {
                reply.rows = std::make_shared<const MeanRows>(meanRows(access.recording, access.tiles, sample, layer));
            } catch (const std::exception& error) {
                reply.problem = QString::fromUtf8(error.what());
            }
            return reply;
        },
        [this, generation, layer = next->layer](const Reply& reply) {
            if (generation != *m_generation)
                return;
            m_isReading = false;
            m_problem = reply.problem;
            if (reply.rows && reply.rows->queries.size() == 0)
                m_problem = tr("No rows of attention were recorded for layer %1.").arg(layer);
            if (reply.rows)
                m_rows[layer] = reply.rows;
            readNext();
            // Once for all layers: a wall that changes with every one would flicker.
            if (!m_isReading)
                emit changed();
        },
        [generation, current = m_generation] { return generation != *current; });
}

const LostModel::Lost* LostModel::lostOf(int methodRow)
{
    if (!m_sample || m_models.replay->sample() != m_sample || methodRow < 0)
        return nullptr;
    ReplayModel::KeptLayers kept = m_models.replay->keptEverywhere(methodRow);
    if (!kept || kept->size() != m_sample->layers.size())
        return nullptr;
    Lost& lost = m_lost[methodRow];
    if (lost.kept == kept && lost.layers == m_rows.size())
        return &lost;
    const int heads = m_sample->model.numHeads;
    lost = {kept, m_rows.size(), {}};
    lost.mass.assign(
        m_sample->layers.size() * static_cast<std::size_t>(heads), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t index = 0; index < m_sample->layers.size(); ++index) {
        const auto rows = m_rows.find(m_sample->layers[index].layer);
        const KeepSet& keep = (*kept)[index];
        if (rows == m_rows.end() || keep.sets.empty())
            continue;
        for (int head = 0; head < heads; ++head)
            lost.mass[index * static_cast<std::size_t>(heads) + static_cast<std::size_t>(head)]
                = lostAttention(rows->second->head(head, m_sample->info.promptTokens),
                    keep.sets[setOfHead(keep, head, m_sample->model)]);
    }
    return &lost;
}

int LostModel::front() const
{
    return m_models.methods->current();
}

double LostModel::lost(int methodRow, int layer, int head)
{
    const Lost* lost = lostOf(methodRow);
    if (!lost || head < 0 || head >= m_sample->model.numHeads)
        return std::numeric_limits<double>::quiet_NaN();
    const auto found = std::ranges::find(m_sample->layers, layer, &LayerInfo::layer);
    if (found == m_sample->layers.end())
        return std::numeric_limits<double>::quiet_NaN();
    const auto index = static_cast<std::size_t>(found - m_sample->layers.begin());
    return lost->mass[index * static_cast<std::size_t>(m_sample->model.numHeads) + static_cast<std::size_t>(head)];
}

std::vector<LostModel::Head> LostModel::heads()
{
    std::vector<Head> result;
    const Lost* lost = lostOf(front());
    if (!lost)
        return result;
    const auto heads = static_cast<std::size_t>(m_sample->model.numHeads);
    for (std::size_t at = 0; at < lost->mass.size(); ++at) {
        if (!std::isnan(lost->mass[at]))
            result.push_back({m_sample->layers[at / heads].layer, static_cast<int>(at % heads), lost->mass[at]});
    }
    std::ranges::stable_sort(result, std::ranges::greater(), &Head::mass);
    return result;
}

std::vector<LostModel::Token> LostModel::tokens(std::size_t most)
{
    std::vector<Token> result;
    const Lost* lost = lostOf(front());
    if (!lost)
        return result;
    const std::int64_t prompt = m_sample->info.promptTokens;
    std::vector<Token> all(static_cast<std::size_t>(prompt));
    int known = 0;
    for (std::size_t index = 0; index < m_sample->layers.size(); ++index) {
        const auto rows = m_rows.find(m_sample->layers[index].layer);
        const KeepSet& keep = (*lost->kept)[index];
        if (rows == m_rows.end() || keep.sets.empty())
            continue;
        for (int head = 0; head < m_sample->model.numHeads; ++head) {
            const auto row = rows->second->head(head, prompt);
            if (row.empty() || std::isnan(row.front()))
                continue;
            ++known;
            const auto& kept = keep.sets[setOfHead(keep, head, m_sample->model)];
            auto next = kept.begin();
            for (std::int64_t token = 0; token < prompt; ++token) {
                while (next != kept.end() && *next < token)
                    ++next;
                if (next != kept.end() && *next == token)
                    continue;
                all[static_cast<std::size_t>(token)].mass += static_cast<double>(row[static_cast<std::size_t>(token)]);
                ++all[static_cast<std::size_t>(token)].heads;
            }
        }
    }
    for (std::int64_t token = 0; token < prompt; ++token) {
        Token& found = all[static_cast<std::size_t>(token)];
        found.token = token;
        found.mass /= std::max(1, known);
        if (found.heads > 0)
            result.push_back(found);
    }
    std::ranges::stable_sort(result, std::ranges::greater(), &Token::mass);
    result.resize(std::min(most, result.size()));
    return result;
}

QString LostModel::queriesText() const
{
    if (m_rows.empty() || !m_sample)
        return {};
    const TokenRange queries = m_rows.begin()->second->queries;
    const std::int64_t prompt = m_sample->info.promptTokens;
    return queries.begin >= prompt
        ? tr("of the first %n generated token(s)", nullptr, static_cast<int>(queries.size()))
        : tr("of the last %n token(s) of the prompt", nullptr, static_cast<int>(queries.size()));
}

} // namespace kvloupe
