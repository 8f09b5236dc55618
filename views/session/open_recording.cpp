// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/open_recording.h"

#include "core/prompt/shot_boundaries.h"

#include <algorithm>
#include <utility>

namespace kvloupe {

/// What the first look at a recording gives.
struct OpenRecording::Contents {
    RecordingInfo info;
    std::vector<SampleInfo> samples;
};

OpenRecording::Contents OpenRecording::readContents(RecordingAccess& access)
{
    Contents contents;
    contents.info = access.recording.info();
    for (int sample = 0; sample < access.recording.sampleCount(); ++sample)
        contents.samples.push_back(access.recording.sample(sample));
    return contents;
}

OpenRecording::OpenRecording(Selection* selection, QObject* parent)
    : QObject(parent)
    , m_selection(selection)
{
    connect(m_selection, &Selection::sampleChanged, this, &OpenRecording::requestSample);
}

OpenRecording::~OpenRecording() = default;

void OpenRecording::open(const std::filesystem::path& path, StartView start)
{
    close();
    m_start = std::move(start);
    m_selection->setRecording(path);
    m_source = std::make_unique<RecordingSource>(path);
    m_isReading = true;
    connect(m_source.get(), &RecordingSource::failed, this, [this](const QString& message) {
        m_isReading = false;
        emit failed(message);
    });
    m_source->run<Contents>(this, RecordingSource::Priority::Immediate, readContents,
        [this](Contents contents) { adoptContents(std::move(contents)); });
}

void OpenRecording::close()
{
    if (m_source)
        emit closed();
    const std::unique_ptr<RecordingSource> source = std::move(m_source); // outlives its use by the views
    m_later.reset();
    m_isReading = false;
    m_samples.clear();
    m_sourceSamples = 0;
    m_info = {};
    m_shotEdits.clear();
    setSample(nullptr);
    m_selection->setRecording({});
}

StartView OpenRecording::viewNow() const
{
    StartView start;
    if (m_sample)
        start.sample = m_sample->info.id.empty() ? std::to_string(m_sample->sample) : m_sample->info.id;
    if (m_selection->layer() >= 0) {
        start.layer = m_selection->layer();
        start.head = m_selection->head();
    }
    if (m_selection->key() >= 0)
        start.token = m_selection->key();
    return start;
}

void OpenRecording::reload()
{
    reloadFrom(path());
}

void OpenRecording::reloadFrom(const std::filesystem::path& file)
{
    if (!m_source)
        return;
    const std::filesystem::path copy = file; // it may be the path that closing clears
    open(copy, viewNow());
}

void OpenRecording::lookForSamples()
{
    if (!m_source || m_later)
        return;
    m_later = std::make_unique<RecordingSource>(path());
    const auto end = [this] {
        if (RecordingSource* later = m_later.release())
            later->deleteLater();
    };
    // A part that is written at this moment is no fault: the next look finds it.
    connect(m_later.get(), &RecordingSource::failed, this, end);
    m_later->run<Contents>(this, RecordingSource::Priority::Immediate, readContents,
        [this, end, asked = m_later.get()](Contents contents) {
            if (m_later.get() != asked)
                return;
            end();
            if (contents.samples.size() <= m_samples.size() || contents.info.uuid != m_info.uuid)
                return;
            m_samples = std::move(contents.samples);
            emit samplesAdded();
        });
}

void OpenRecording::adoptContents(Contents contents)
{
    m_isReading = false;
    m_info = std::move(contents.info);
    m_samples = std::move(contents.samples);
    m_sourceSamples = m_samples.size();
    emit opened();
    const QString file = QString::fromStdString(path().string());
    if (m_samples.empty()) {
        emit failed(tr("%1: holds no sample yet; F5 looks again").arg(file));
        return;
    }
    int first = 0;
    if (m_start.sample) {
        const auto byId = std::ranges::find(m_samples, *m_start.sample, &SampleInfo::id);
        bool isNumber = false;
        const int number = QString::fromStdString(*m_start.sample).toInt(&isNumber);
        if (byId != m_samples.end())
            first = static_cast<int>(byId - m_samples.begin());
        else if (isNumber && number >= 0 && number < static_cast<int>(m_samples.size()))
            first = number;
        else
            emit failed(tr("%1: no sample \"%2\"").arg(file, QString::fromStdString(*m_start.sample)));
    }
    m_selection->setSample(first);
}

void OpenRecording::requestSample(int sample)
{
    if (!m_source || sample < 0)
        return;
    if (static_cast<std::size_t>(sample) >= m_sourceSamples && m_sourceSamples > 0) {
        // It came after the file was opened. The selection is still telling of its change: opening has to wait.
        StartView start = viewNow();
        start.sample = std::to_string(sample);
        start.token.reset();
        QMetaObject::invokeMethod(
            this,
            [this, start, file = path()] {
                if (file == path())
                    open(file, start);
            },
            Qt::QueuedConnection);
        return;
    }
    m_isReading = true;
    m_source->run<SampleModelPtr>(
        this, RecordingSource::Priority::Immediate,
        [sample](RecordingAccess& access) { return readSampleModel(access.recording, sample); },
        [this, sample](SampleModelPtr model) {
            if (sample == m_selection->sample())
                adoptSample(std::move(model));
        });
}

void OpenRecording::adoptSample(SampleModelPtr sample)
{
    m_isReading = false;
    const QString file = QString::fromStdString(path().string());
    if (sample->layers.empty()) {
        emit failed(tr("%1: sample %2 has no attention").arg(file, QString::fromStdString(sample->info.id)));
        return;
    }
    const int wantedLayer = m_start.layer.value_or(m_selection->layer());
    const int wantedHead = m_start.head.value_or(m_selection->head());
    const bool layerExists = sample->findLayer(wantedLayer) != nullptr;
    const bool headExists = wantedHead >= 0 && wantedHead < sample->model.numHeads;
    if ((m_start.layer && !layerExists) || (m_start.head && !headExists))
        emit failed(
            tr("%1: layer %2 head %3 was not recorded").arg(file).arg(wantedLayer).arg(std::max(0, wantedHead)));
    const std::optional<std::int64_t> token = m_start.token;
    if (token && *token >= sample->info.totalTokens)
        emit failed(
            tr("%1: found token %2, expected one of 0 to %3").arg(file).arg(*token).arg(sample->info.totalTokens - 1));
    const bool tokenExists = token && *token >= 0 && *token < sample->info.totalTokens;
    const std::int64_t lastQuery = sample->info.promptTokens - 1;
    m_start = {};
    const int layer = layerExists ? wantedLayer : sample->layers.front().layer;
    setSample(std::move(sample));
    m_selection->setHead(layer, headExists ? wantedHead : 0);
    if (tokenExists)
        m_selection->setCell(std::max(lastQuery, *token), *token);
}

void OpenRecording::setSample(SampleModelPtr sample)
{
    if (!sample && !m_sample)
        return;
    m_recorded = std::move(sample);
    m_sample = corrected(m_recorded);
    emit sampleChanged();
}

SampleModelPtr OpenRecording::corrected(const SampleModelPtr& recorded)
{
    const auto edit = recorded ? m_shotEdits.find(recorded->sample) : m_shotEdits.end();
    if (edit == m_shotEdits.end())
        return recorded;
    try {
        auto changed = std::make_shared<SampleModel>(*recorded);
        changed->layout = PromptLayout(recorded->info.promptTokens, recorded->info.totalTokens,
            withShots(recorded->layout.spans(), edit->second, recorded->info.promptTokens));
        return changed;
    } catch (const Error& error) {
        emit failed(QString::fromUtf8(error.what()));
        return recorded;
    }
}

void OpenRecording::setShotEdits(ShotEdits edits)
{
    const auto inView = [this](const ShotEdits& all) -> std::optional<std::vector<TokenRange>> {
        const auto found = m_recorded ? all.find(m_recorded->sample) : all.end();
        return found == all.end() ? std::nullopt : std::optional(found->second);
    };
    const bool changes = inView(m_shotEdits) != inView(edits);
    m_shotEdits = std::move(edits);
    if (!changes)
        return;
    m_sample = corrected(m_recorded);
    emit layoutChanged();
}

} // namespace kvloupe
