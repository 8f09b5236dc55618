// SPDX-License-Identifier: GPL-3.0-or-later

#include "views/session/sample_finder.h"

#include "views/methods/method_model.h"
#include "views/results/results_view.h"
#include "views/selection/selection.h"
#include "views/session/open_recording.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

namespace kvloupe {

SampleFinder::SampleFinder(const ViewModels& models, QObject* parent)
    : QObject(parent)
    , m_models(models)
{
    connect(m_models.recording, &OpenRecording::sampleChanged, this, &SampleFinder::adoptSample);
}

SampleFinder::~SampleFinder() = default;

void SampleFinder::find(const ChosenSample& sample)
{
    const std::vector<SampleInfo>& recorded = m_models.recording->samples();
    const auto same = std::ranges::find(recorded, sample.prompt.sha256, &SampleInfo::promptSha256);
    const QString name = QString::fromStdString(sample.key.sample);
    if (!m_models.recording->isOpen() || same == recorded.end()) {
        emit notRecorded(sample, tr("%1 is not in the open recording").arg(name));
        return;
    }
    const SampleModelPtr& inView = m_models.recording->sample();
    if (inView && inView->model.fileSha256 != sample.model.fileSha256) {
        emit notFound(
            tr("%1 was measured on %2, the open recording is of %3")
                .arg(name, QString::fromStdString(sample.model.name), QString::fromStdString(inView->model.name)));
        return;
    }
    if (m_models.methods->rowOf(sample.method) < 0)
        m_models.methods->add(QString::fromStdString(sample.method));
    if (const int row = m_models.methods->rowOf(sample.method); row >= 0) {
        m_models.methods->setShown(row, true);
        m_models.methods->setCurrent(row);
    }
    m_models.selection->setKeepPermille(static_cast<int>(std::lround(1000.0 * sample.keep)));
    m_wanted = static_cast<int>(same - recorded.begin());
    m_models.selection->setSample(m_wanted);
    if (inView && inView->sample == m_wanted)
        markEvidence();
    emit found();
}

void SampleFinder::findWhenOpen(const ChosenSample& sample)
{
    m_pending = std::make_unique<ChosenSample>(sample);
}

void SampleFinder::adoptSample()
{
    const SampleModelPtr& inView = m_models.recording->sample();
    if (!inView)
        return;
    if (const std::unique_ptr<ChosenSample> sample = std::move(m_pending))
        find(*sample);
    else if (inView->sample == m_wanted)
        // The head in view is chosen after this, and the cell with it.
        QMetaObject::invokeMethod(this, &SampleFinder::markEvidence, Qt::QueuedConnection);
}

void SampleFinder::markEvidence()
{
    const SampleModelPtr& inView = m_models.recording->sample();
    if (!inView || inView->sample != std::exchange(m_wanted, -1))
        return;
    if (const std::optional<TokenRange> answer = answerSpan(inView->layout)) {
        m_models.selection->setRange(*answer);
        m_models.selection->setCell(inView->info.promptTokens - 1, answer->begin);
    }
}

std::optional<TokenRange> answerSpan(const PromptLayout& layout)
{
    const std::span<const Span> spans = layout.spans();
    for (const SpanKind kind : {SpanKind::Needle, SpanKind::Evidence})
        if (const auto found = std::ranges::find(spans, kind, &Span::kind); found != spans.end())
            return TokenRange{found->begin, found->end};
    return std::nullopt;
}

} // namespace kvloupe
