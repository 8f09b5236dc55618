// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/methods/future_attention.h"

#include "core/metrics/oracle.h"
#include "core/replay/recorded_decode_rows.h"
#include "views/session/open_recording.h"

#include <algorithm>
#include <utility>

namespace kvloupe {

namespace {

std::shared_ptr<const FutureAttention::Layer> readLayer(
    const Recording& recording, const SampleModel& sample, const LayerInfo& info)
{
    if (!info.hasQueriesKeys)
        return nullptr;
    FutureAttention::Layer layer;
    layer.queryHeads = sample.model.numHeads;
    layer.cache.end = sample.info.promptTokens;
    if (info.window > 0)
        layer.cache.begin = std::max<std::int64_t>(0, layer.cache.end - info.window);
    const std::int64_t steps = sample.info.totalTokens - sample.info.promptTokens;
    RecordedDecodeRows rows(recording, sample.sample, info.layer, steps);
    const std::vector<float> all = attentionFromGenerated(rows, steps, layer.cache.end);
    for (std::int64_t head = 0; head < layer.queryHeads; ++head) {
        const auto row = all.begin() + head * layer.cache.end;
        layer.received.insert(layer.received.end(), row + layer.cache.begin, row + layer.cache.end);
    }
    return std::make_shared<const FutureAttention::Layer>(std::move(layer));
}

} // namespace

FutureAttention::FutureAttention(const ViewModels& models, QObject* parent)
    : QObject(parent)
    , m_models(models)
    , m_layers(std::make_shared<Layers>())
{
    connect(m_models.recording, &OpenRecording::sampleChanged, this, &FutureAttention::restart);
}

bool FutureAttention::exists() const
{
    const SampleModelPtr& sample = m_models.recording->sample();
    return sample && sample->info.totalTokens > sample->info.promptTokens
        && std::ranges::any_of(sample->layers, &LayerInfo::hasQueriesKeys);
}

void FutureAttention::setWanted(bool wanted)
{
    if (std::exchange(m_isWanted, wanted) != wanted && wanted)
        requestNext();
}

void FutureAttention::restart()
{
    ++m_generation;
    m_layers = std::make_shared<Layers>();
    m_isComplete = false;
    m_isReading = false;
    requestNext();
}

void FutureAttention::requestNext()
{
    if (!m_isWanted || m_isReading || m_isComplete || !exists())
        return;
    m_isReading = true;
    using Read = std::shared_ptr<const Layer>;
    const SampleModelPtr sample = m_models.recording->sample();
    m_models.recording->source()->run<Read>(
        this, RecordingSource::Priority::Background,
        [sample, index = m_layers->size()](
            RecordingAccess& access) { return readLayer(access.recording, *sample, sample->layers[index]); },
        [this, generation = m_generation](Read layer) { take(generation, std::move(layer)); });
}

void FutureAttention::take(std::uint64_t generation, std::shared_ptr<const Layer> layer)
{
    if (generation != m_generation)
        return;
    m_isReading = false;
    m_layers->push_back(std::move(layer));
    m_isComplete = m_layers->size() == m_models.recording->sample()->layers.size();
    if (m_isComplete)
        emit completed();
    else
        requestNext();
}

} // namespace kvloupe
