// SPDX-License-Identifier: GPL-3.0-or-later

#pragma once

#include "core/prompt/prompt_layout.h"
#include "views/session/view_models.h"

#include <QObject>
#include <QString>

#include <memory>
#include <optional>

namespace kvloupe {

struct ChosenSample;

/// Leads from a sample of results to its recording: the prompt, the method in front and the budget that were measured.
class SampleFinder final : public QObject {
    Q_OBJECT

public:
    explicit SampleFinder(const ViewModels& models, QObject* parent = nullptr);
    ~SampleFinder() override;

    /// Looks for the sample's prompt in the open recording; one of the signals follows at once. The span that holds the
    /// answer is marked, once the sample is in view.
    void find(const ChosenSample& sample);
    /// The same once the recording that is being opened is there.
    void findWhenOpen(const ChosenSample& sample);

signals:
    void found();
    /// Says what is in the way.
    void notFound(const QString& message);
    /// No open recording has it; `message` says so.
    void notRecorded(const kvloupe::ChosenSample& sample, const QString& message);

private:
    void adoptSample();
    void markEvidence();

    ViewModels m_models;
    std::unique_ptr<ChosenSample> m_pending; ///< looked for once a recording is open
    int m_wanted = -1; ///< sample whose evidence is marked once it is in view
};

/// Where the answer to a prompt's question stands: its needle, else its first evidence; nothing without either.
std::optional<TokenRange> answerSpan(const PromptLayout& layout);

} // namespace kvloupe
